-- SPDX-License-Identifier: MIT
-- Pools of connections that some library makes: any number of tasks use a few of them, each by one task at a time. What is lent, and
-- how it comes back, is green.pool.lending's; here is what users say and see.
local Lending = require "green.pool.lending"
local fault = require "green.error"
local native = require "green.task.native"
local options = require "green.options"
local scope = require "green.scope.native"
local timer = require "green.timer.native"

local Pool = { __name = "green.Pool" }
Pool.__index = Pool

local is_pool = fault.receiver(Pool, "pool")

-- Seconds that `check` has at most, and that `close` and `reset` have whatever becomes of the task that gives a connection back.
local CLEAN_UP = 5

local KNOWN = {
  name = "string", max = "count", min = "whole", max_idle = "whole", wait = "seconds", idle = "time", max_age = "time", check = "function",
  leak_after = "seconds", check_after = "seconds", reset = "function", close = "function",
}

local function close_by_method(conn)
  if type(conn) == "table" or type(conn) == "userdata" then
    local method = conn.close
    if method then method(conn) end
  end
end

-- A connection is broken when nobody knows what state it is in: its task was interrupted while it had it, so that perhaps an answer is
-- still to come; the lease was abandoned, or is given back by another task; or an error left its scope, unless `reset` can tell.
local function judge_by(reset)
  return function(lease, err)
    local known = lease.task == native.current() and lease.interruptions == native.interruptions()
    local failed = err ~= nil or lease.inside
    if not known or (failed and not reset) then return "broken" end
    return reset and "dirty" or "clean"
  end
end

-- What the mechanism asks of connections, by the functions of the user.
local function kind_of(given)
  local user_close, user_reset = given.close or close_by_method, given.reset
  local kind = { judge = judge_by(user_reset) }
  function kind.close(conn)
    local _ <close> = scope.enter(CLEAN_UP, true)
    pcall(user_close, conn)
  end
  function kind.reset(conn)
    local _ <close> = scope.enter(CLEAN_UP, true)
    if not user_reset(conn) then error("the connection was not reset", 0) end
  end
  return kind
end

-- Makes a connection; a library may say as Lua's own do that it could not: nil, message.
local function opener(make, name)
  return function()
    local conn, why = make()
    if conn then return conn end
    fault.raise("pool", "ENOTCONN", "no connection to %s: %s", name, tostring(why))
  end
end

local function limited(fn, conn)
  local _ <close> = scope.enter(CLEAN_UP)
  return fn(conn)
end

-- An error of `check`, or that it took too long, says that the connection is not fit; but an error that ends the task is the task's.
local function fitness(check, after)
  return check and function(entry)
    local began, before = timer.now(), native.interruptions()
    if began - entry.since < after then return true end
    local ok, fit = pcall(limited, check, entry.conn)
    if not ok and native.interruptions() ~= before and timer.now() - began < CLEAN_UP then error(fit, 0) end
    return ok and fit
  end
end

function Pool:take(timeout)
  is_pool(self, "take")
  if timeout ~= nil then options.argument("pool:take", "timeout", timeout, "seconds") end
  return self.lending:take(timeout, true)
end

local function leave(lease, ...)
  lease.inside = nil
  return ...
end

-- `inside` tells what the error that closes the lease does not: an error may be nil, and a coroutine may be closed without one.
function Pool:use(fn, ...)
  is_pool(self, "use")
  options.argument("pool:use", "fn", fn, "function")
  local lease <close> = self.lending:take(nil, true)
  lease.inside = true
  return leave(lease, fn(lease.conn, ...))
end

function Pool:stats()
  is_pool(self, "stats")
  return self.lending:stats()
end

-- Waits until a closed pool has all its connections back.
local function wait_empty(lending, seconds)
  local held = lending.held[native.current()]
  if held and #held > 0 then fault.raise(lending.op, "EDEADLK", "the task that closes %s has a connection to it", lending.name) end
  local ok, err = pcall(lending.empty.acquire, lending.empty, seconds)
  if ok or fault.is(err, "ECLOSED") then return end
  if not fault.is(err, "ETIMEDOUT") then error(err, 0) end
  local n = lending.size - lending.permits:available()
  fault.raise(lending.op, "ETIMEDOUT", "%d connections to %s are still in use after %g s", n, lending.name, seconds)
end

function Pool:close(timeout)
  is_pool(self, "close")
  if timeout ~= nil then options.argument("pool:close", "timeout", timeout, "seconds") end
  self.lending:close()
  wait_empty(self.lending, timeout or 10)
end

-- Whoever leaves the pool's scope need not wait for those who still use it.
function Pool:__close() self.lending:close() end

function Pool:__tostring() return ("pool: %s (%d)"):format(self.lending.name, self.lending.size) end

-- Makes a pool. Waits for nothing: connections are made when they are needed.
return function(make, given)
  options.argument("pool", "make", make, "function")
  local set = options.check("pool", given, KNOWN)
  local name = set.name or "the pool"
  return setmetatable({ lending = Lending.new {
    op = "pool", name = name, size = set.max or 10, min = set.min, max_idle = set.max_idle, wait = set.wait or 5, idle_time = set.idle or 300,
    max_age = set.max_age, leak_after = set.leak_after, open = opener(make, name), fit = fitness(set.check, set.check_after or 0.5),
    kind = kind_of(set),
  } }, Pool)
end
