-- SPDX-License-Identifier: MIT
-- A cache of values that take long to compute: in this process, in Redis or in a database. Whoever asks for what is computed already
-- waits for that (task.single). A store that fails makes it slow, not wrong: the value is computed.
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"
local scope = require "green.scope.native"
local task = require "green.task"
local task_native = require "green.task.native"
local timer = require "green.timer.native"

local LOG_EVERY = 10 -- seconds between two records of a store that fails

local Cache = { __name = "green.Cache" }
Cache.__index = Cache

local check = fault.receiver(Cache, "cache")

-- Another task may run between any two instructions.
local function add(self, name)
  local _ <close> = scope.atomic()
  self.count[name] = self.count[name] + 1
end

-- ---- the store ----

-- A failure that ends the task is the task's; any other is logged now and then.
local function forgive(self, ok, ...)
  if ok then return ... end
  local err = ...
  local code = fault.is(err) and err.code
  if not code or code == "ECANCELED" or code == "EDEADLINE" or code == "ECPULIMIT" then error(err, 0) end
  add(self, "errors")
  if self.logged and timer.now() - self.logged < LOG_EVERY then return nil end
  self.logged = timer.now()
  task_native.log("cache: the store fails, values are computed instead", err)
end

local function ask(self, method, ...)
  local store = self.store
  return forgive(self, pcall(store[method], store, ...))
end

-- What is there: the value and whether it is fresh. What is no JSON was not written by us.
local function look(self, key)
  local text, fresh = ask(self, "get", self.prefix .. key)
  if not text then return nil end
  local ok, value = pcall(json.decode, text)
  if ok then return value, fresh end
end

-- ---- values ----

local function keep(self, key, value, ttl, stale)
  if value == nil then return end
  local text = json.encode(value)
  ask(self, "set", self.prefix .. key, text, ttl, stale)
end

local function compute(self, key, ttl, stale, loader)
  add(self, "loads")
  local value = loader(key)
  keep(self, key, value, ttl, stale)
  return value
end

local function flight(self, key) return self.name .. key end

local function refresh(self, key, ...)
  local ok, err = pcall(task.single, flight(self, key), compute, self, key, ...)
  self.refreshing[key] = nil
  if not ok then task_native.log("cache: an old value could not be computed anew", err) end
end

local TIMES = { stale = "seconds" }

--- The value: that which is kept, or else loader(key), kept for `ttl` seconds. With stale = S in `given` a value that is older, by up to S
--- seconds, is returned as well, and computed anew meanwhile.
function Cache:get(key, ttl, loader, given)
  check(self, "get")
  options.argument("cache:get", "key", key, "string")
  options.argument("cache:get", "ttl", ttl, "time")
  options.argument("cache:get", "loader", loader, "function")
  local stale = options.check("cache:get", given, TIMES).stale or 0
  local value, fresh = look(self, key)
  if value == nil then
    add(self, "misses")
    return task.single(flight(self, key), compute, self, key, ttl, stale, loader)
  end
  add(self, "hits")
  if not fresh and not self.refreshing[key] then -- one task for all who ask meanwhile
    self.refreshing[key] = true
    task_native.spawn_system(refresh, self, key, ttl, stale, loader)
  end
  return value
end

--- The value that is kept, or nil.
function Cache:peek(key)
  check(self, "peek")
  options.argument("cache:peek", "key", key, "string")
  return (look(self, key))
end

--- Keeps a value for `ttl` seconds.
function Cache:set(key, value, ttl)
  check(self, "set")
  options.argument("cache:set", "key", key, "string")
  options.argument("cache:set", "ttl", ttl, "time")
  if value == nil then fault.misuse "cache:set: value: nil cannot be kept; use cache:delete(key)" end
  keep(self, key, value, ttl, 0)
end

function Cache:delete(key)
  check(self, "delete")
  options.argument("cache:delete", "key", key, "string")
  ask(self, "delete", self.prefix .. key)
end

function Cache:stats()
  check(self, "stats")
  local count = {}
  for name, n in pairs(self.count) do count[name] = n end
  return count
end

-- ---- making one ----

local KNOWN = { db = "table", max_bytes = "count", max_entries = "count", prefix = "string", redis = "table" }

local function store_of(given)
  if given.redis and given.db then fault.misuse "cache.new: either redis or db, not both" end
  if (given.redis or given.db) and (given.max_entries or given.max_bytes) then
    fault.misuse "cache.new: max_entries and max_bytes are limits of a cache in this process"
  end
  if given.redis then return require "green.cache.redis"(given.redis) end
  if given.db then return require "green.cache.database"(given.db) end
  return require "green.cache.memory"(given.max_entries or 10000, given.max_bytes or 64 << 20)
end

local M = {}

--- Makes a cache. Waits for nothing.
function M.new(given)
  given = options.check("cache.new", given, KNOWN)
  local self = setmetatable({
    store = store_of(given), prefix = given.prefix or "cache:", logged = false, refreshing = {}, count = { hits = 0, misses = 0, loads = 0, errors = 0 },
  }, Cache)
  self.name = ("%p "):format(self)
  return self
end

return M
