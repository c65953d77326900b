-- SPDX-License-Identifier: MIT
-- A statement that ran out of time, or was cancelled, raised its error only when its connection had been put right, or nobody could do
-- that: seconds later with a PostgreSQL that is silent, and with SQLite as long as the statement did not stop. Now the task waits for a
-- moment only, in which a server that answers stops the statement; beyond it the pool goes on in time of its own, and whoever waits
-- for the connection waits for that. A transaction in a pin, and a savepoint, which are rolled back on a connection that their task keeps,
-- are as quick, and what could not be rolled back takes nothing more in. (Without the moment, what timed out behind a lock ran
-- after all once the lock was gone.)
-- Needs: databases
local Lending = require "green.pool.lending"
local connect = require "green.db".connect
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure, await, waiting = outcome.failure, outcome.eventually, outcome.waiting

local LATER = 1.5 -- seconds: after the time-outs of these tests and the moment that the pool waits, and before a silent server is given up

describe("a silent PostgreSQL", function()
  local pg, place, db

  postgres.around(_ENV, { size = 1, wait = 60 }, function(...)
    pg, place, db = ...
    db:exec "CREATE TABLE t (v int)"
  end)

  -- What happened first: the error of fn, or that a while passed which began with it?
  local function race(fn)
    local events = {}
    local clock = task.spawn(function()
      task.sleep(LATER)
      events[#events + 1] = "later"
    end)
    local one = task.spawn(function()
      local ok, err = pcall(fn)
      events[#events + 1] = ok and "done" or err.code
    end)
    clock:join()
    one:wait()
    return events
  end

  local hasty
  before_each(function()
    hasty = db:with { timeout = 0.1 }
    assert.equal(1, db:value "SELECT 1")
  end)
  after_each(function() if pg.frozen then pg:thaw() end end)

  local WAYS = {
    { "a statement", "ETIMEDOUT", function() hasty:query "SELECT 1" end },
    { "one()", "ETIMEDOUT", function() hasty:one "SELECT 1" end },
    { "rows", "ETIMEDOUT", function() for _ in hasty:rows "SELECT 1" do end end },
    { "a pin", "ETIMEDOUT", function() db:pin(function() hasty:exec "SET work_mem = '1MB'" end) end },
    { "a deadline", "EDEADLINE", function() task.deadline(0.1, db.query, db, "SELECT 1") end },
    { "a transaction", "ETIMEDOUT", function() hasty:transaction(function() hasty:exec "INSERT INTO t VALUES (1)" end) end },
  }

  for _, way in ipairs(WAYS) do
    it("delays no error of " .. way[1], function()
      pg:freeze()
      assert.same({ way[2], "later" }, race(way[3]))
      pg:thaw()
      await(function() return db:stats().writer.lent == 0 end, "the connection is back")
      assert.equal(0, db:value "SELECT count(*) FROM t")
      assert.equal("4MB", db:value "SHOW work_mem")
    end)
  end

  local HALF_WAY = {
    ["a transaction"] = function(work) db:transaction(work) end,
    ["a transaction in a pin"] = function(work) db:pin(function() db:transaction(work) end) end,
    ["a savepoint"] = function(work) db:transaction(function() db:transaction(work) end) end,
    ["a savepoint whose error is caught"] = function(work) db:transaction(function() pcall(db.transaction, db, work) end) end,
  }

  for name, way in pairs(HALF_WAY) do
    it("delays no error of one that is stopped half way through " .. name, function()
      local frozen = task.channel(0)
      local go = task.spawn(function()
        frozen:receive()
        pg:freeze()
        frozen:send(true)
      end)
      local events = race(function()
        way(function()
          db:exec "INSERT INTO t VALUES (1)"
          frozen:send(true)
          frozen:receive()
          hasty:exec "INSERT INTO t VALUES (2)"
        end)
      end)
      go:join()
      pg:thaw()
      assert.same({ "ETIMEDOUT", "later" }, events)
      assert.equal(0, db:value "SELECT count(*) FROM t")
    end)
  end

  it("takes nothing into a transaction that could not be rolled back", function()
    db:pin(function()
      pcall(db.transaction, db, function()
        db:exec "INSERT INTO t VALUES (1)"
        pg:freeze()
        hasty:exec "INSERT INTO t VALUES (2)"
      end)
      pg:thaw()
      local function insert() db:exec "INSERT INTO t VALUES (3)" end
      for _, fn in ipairs { insert, function() db:transaction(insert) end } do
        local code = failure(fn).code
        assert.is_true(code == "25P02" or code == "ETIMEDOUT", tostring(code)) -- the second: the server was silent for too long
      end
    end)
    assert.equal(0, db:value "SELECT count(*) FROM t")
  end)

  it("lets a cancelled task go, and those who wait have the connection once it is good", function()
    pg:freeze()
    local one = waiting(task.spawn(db.query, db, "SELECT 1"))
    local tasks = {}
    for i = 1, 5 do tasks[i] = waiting(task.spawn(db.value, db, "SELECT $1::int", i)) end
    one:cancel()
    assert.equal("ECANCELED", failure(one.join, one).code)
    local stats = db:stats().writer
    assert.same({ 1, 5 }, { stats.lent, stats.waiting })
    pg:thaw()
    for i, each in ipairs(tasks) do assert.equal(i, each:join(60)) end
    assert.equal(0, db:stats().writer.lent)
  end)

  it("lets the database be closed while the connection is put right", function()
    pg:freeze()
    assert.equal("ETIMEDOUT", failure(hasty.query, hasty, "SELECT 1").code)
    assert.equal(1, db:stats().writer.lent)
    db:close()
    assert.equal("ECLOSED", failure(db.query, db, "SELECT 1").code)
    pg:thaw()
    await(function() return db:stats().writer.lent == 0 end, "the connection is back")
    assert.equal(0, db:stats().writer.open)
    await(function() return pg:sessions(place.name) == 0 end, "its session ends")
  end)
end)

describe("a statement of SQLite that does not stop at once", function()
  it("is waited for by whoever is next", function()
    local db <close> = connect("sqlite::memory:", { wait = 60 })
    local hasty = db:with { timeout = 0.001 }
    assert.equal(1, db:value "SELECT 1")
    assert.equal("ETIMEDOUT", failure(hasty.value, hasty, "SELECT length(replace(hex(zeroblob(30000000)), '00', 'abc'))").code)
    assert.equal(2, db:value "SELECT 2")
    assert.equal(0, db:stats().writer.lent)
  end)
end)

-- Without a server: the connection says itself what runs on it.
describe("a pool whose connection is busy when it comes back", function()
  local function busy_pool(reset)
    local all = { resets = {} }
    local conn = {
      busy = function() return true end, clean = function() return false end, close = function() all.closed = true end,
      reset = function(_, seconds)
        all.resets[#all.resets + 1] = seconds or "no limit"
        return reset(seconds)
      end,
    }
    all.pool = Lending.new { op = "db", name = "fake", size = 1, wait = 60, open = function() return conn end }
    return all
  end

  it("lets its user wait until it is good, if that is a moment", function()
    local all = busy_pool(function() task.sleep(0) end)
    all.pool:take():give()
    assert.equal(1, #all.resets)
    assert.is_number(all.resets[1])
    assert.same({ 0, 1 }, { all.pool:stats().lent, all.pool:stats().idle })
    all.pool:close()
  end)

  it("goes on in a task of its own, if it is longer", function()
    local good = task.channel(0)
    local all = busy_pool(function(seconds)
      if seconds then error("it takes too long", 0) end
      good:receive()
    end)
    all.pool:take():give()
    assert.equal(1, all.pool:stats().lent)
    local next_user = waiting(task.spawn(function() all.pool:take():give() end))
    good:send(true) -- for the first lease
    good:send(true) -- for the second
    next_user:join()
    await(function() return all.pool:stats().lent == 0 end, "the connection is back")
    assert.is_nil(all.closed)
    assert.same(4, #all.resets)
    all.pool:close()
  end)

  it("keeps a task that was cancelled not at all", function()
    local all = busy_pool(function() task.sleep(0) end)
    local has, never = task.channel(1), task.channel(0)
    local user = task.spawn(function()
      local _ <close> = all.pool:take()
      has:send(true)
      never:receive()
    end)
    has:receive()
    user:cancel()
    assert.equal("ECANCELED", failure(user.join, user).code)
    await(function() return all.pool:stats().idle == 1 end, "the connection is back")
    assert.same("no limit", all.resets[#all.resets])
    all.pool:close()
  end)
end)
