-- SPDX-License-Identifier: MIT
-- green.cache, in each of its stores.
-- Needs: redis
local caches = require "green.cache"
local database = require "green.db"
local json = require "green.json"
local outcome = require "outcome"
local redis = require "green.redis"
local start = require "peers.databases"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local WAIT = 60 -- seconds, for what is bound to come
local DAY = 86400
local servers, client, db

setup(function() servers = start "redis" end)
teardown(function() servers:close() end)

before_each(function()
  client = redis.connect(("redis://127.0.0.1:%d"):format(servers.redis.port), { timeout = WAIT, wait = WAIT })
  client:flushall()
  db = database.connect "sqlite::memory:"
end)

after_each(function()
  client:close()
  db:close()
end)

-- The name of a store, its options, and its shortest time: a database knows whole seconds.
local STORES = {
  { "in this process", function() return {} end, 0.02 },
  { "in Redis", function() return { redis = client } end, 0.02 },
  { "in a database", function() return { db = db } end, 1 },
}

for _, row in ipairs(STORES) do
  local where, options, shortest = table.unpack(row)

  describe("a cache " .. where, function()
    it("keeps what JSON can say, for as long as it is told", function()
      local cache = caches.new(options())
      for _, value in ipairs { "x", "", 1, 0.5, true, false, json.null, { a = { 1, 2 } } } do
        cache:set("k", value, DAY)
        assert.same(value, cache:peek "k")
      end
      cache:set("k", "old", shortest)
      await(function() return cache:peek "k" == nil end)
      cache:set("k", 1, DAY)
      cache:delete "k"
      assert.is_nil(cache:peek "k")
      assert.equal("EJSON", failure(cache.set, cache, "k", print, DAY).code)
    end)

    it("computes what is not there, once for all who ask", function()
      local cache, calls = caches.new(options()), 0
      local gate = task.channel()
      local function load(key)
        calls = calls + 1
        gate:receive(WAIT)
        return { key = key }
      end
      local list = {}
      for i = 1, 20 do list[i] = task.spawn(cache.get, cache, "soup", DAY, load) end
      await(function() return cache:stats().misses == 20 end)
      gate:send(true, WAIT)
      for i = 1, 20 do assert.same({ key = "soup" }, list[i]:join()) end
      assert.same({ key = "soup" }, cache:get("soup", DAY, load))
      assert.same({ 1, 1 }, { calls, cache:stats().loads })
    end)

    it("gives the error of a computation to all who wait for it, and keeps nothing", function()
      local cache = caches.new(options())
      local err = failure(cache.get, cache, "k", DAY, function() error("no soup", 0) end)
      assert.equal("no soup", err)
      assert.is_nil(cache:get("k", DAY, function() return nil end))
      assert.equal(7, cache:get("k", DAY, function() return 7 end))
      assert.equal("EDEADLINE", failure(task.deadline, 0.02, cache.get, cache, "other", DAY, function() task.sleep(DAY) end).code)
    end)

    it("gives what is stale at once, and computes it anew meanwhile", function()
      local cache, n = caches.new(options()), 0
      local function load()
        n = n + 1
        return n
      end
      assert.equal(1, cache:get("k", shortest, load, { stale = DAY }))
      await(function() return cache:get("k", DAY, load, { stale = DAY }) == 2 end)
      await(function() return cache:stats().loads == n end)
      assert.is_true(cache:stats().hits > 0)
      assert.equal(1, cache:stats().misses)
    end)
  end)
end

describe("a cache in this process", function()
  it("has limits, and what was used longest ago goes first", function()
    local cache = caches.new { max_entries = 3 }
    for _, key in ipairs { "a", "b", "c" } do cache:set(key, key, DAY) end
    cache:peek "a"
    cache:set("d", "d", DAY)
    assert.same({ "a", nil, "c", "d" }, { cache:peek "a", cache:peek "b", cache:peek "c", cache:peek "d" })
    local small = caches.new { max_bytes = 1000 }
    small:set("a", ("x"):rep(300), DAY)
    small:set("b", ("x"):rep(300), DAY)
    assert.is_nil(small:peek "a")
    small:set("c", ("x"):rep(3000), DAY) -- one is kept, whatever its size
    assert.equal(3000, #small:peek "c")
  end)

  it("is refused what it does not know", function()
    assert.error_matches(function() caches.new { max = 1 } end, "cache.new: unknown option 'max'")
    assert.error_matches(function() caches.new { redis = client, db = db } end, "either redis or db")
    assert.error_matches(function() caches.new { redis = client, max_bytes = 1 } end, "limits of a cache in this process")
    local cache = caches.new()
    assert.error_matches(function() cache:get("k", 0, print) end, "cache:get: ttl: a number of seconds > 0 expected, not 0")
    assert.error_matches(function() cache:get("k", 1) end, "cache:get: loader: a function expected")
    assert.error_matches(function() cache:set("k", nil, 1) end, "nil cannot be kept")
    assert.error_matches(function() cache.get("k", 1, print) end, "use cache:get")
  end)
end)

describe("a store that fails", function()
  it("makes a cache slow, not wrong", function()
    local away = redis.connect("redis://127.0.0.1:1", { wait = 0 })
    local cache = caches.new { redis = away }
    assert.equal(1, cache:get("k", DAY, function() return 1 end))
    assert.equal(2, cache:get("k", DAY, function() return 2 end))
    assert.equal(4, cache:stats().errors)
    away:close()
  end)

  it("is shared with others, whose keys are none of its own", function()
    local cache = caches.new { redis = client, prefix = "" }
    client:set("k", "not ours")
    client:set("j", "0 not JSON")
    assert.same({ nil, nil }, { cache:peek "k", cache:peek "j" })
    client:lpush("l", 1)
    assert.equal(1, cache:get("l", DAY, function() return 1 end))
    assert.equal(1, cache:stats().errors)
  end)
end)
