-- SPDX-License-Identifier: MIT
-- Internal.
-- A bounded pool of connections, on loan one lease at a time. The pool decides what becomes of a connection that comes back,
-- never its user: a clean one is used again; one with a statement still running, an open cursor or an open transaction is put
-- right first: in this task if that may still wait, else by a system task, which has nothing of the deadline or the cancel
-- that made it necessary. The permit comes back when the connection does.
--
--      (none) --take: open()--> leased --give: clean--> idle --take--> leased
--                                 |                      '--close_idle (the pool closes, or is full)--> closed
--                                 '--give: not clean--> dirty --conn:reset, here or in a system task--> idle
--                                                         '--reset fails--> closed
--
--  1. A connection is in `idle`, or in `lent` (leased or dirty), or closed: never in two of these.
--  2. A permit is held exactly as long as its connection is leased or dirty; a lease beyond the limit (of a task that holds
--     one already) may have none.
--  3. No lease leaves `lent` without its permit: put and drop do both in one step.
--  4. Nothing is put into `idle` of a pool that is closed and stays there.
local fault = require "green.error"
local native = require "green.task.native"
local scope = require "green.scope.native"
local semaphore = require "green.semaphore"

local Pool = {}
Pool.__index = Pool

-- { conn =, pool =, task =, permit = the semaphore it is of }. Give it back by name or with <close>; an abandoned one is given back
-- when it is collected.
local Lease = {}
Lease.__index = Lease

-- In a child that a C module forked, nothing that was opened or lent before is the pool's any more.
local function begin(self)
  local _ <close> = scope.atomic()
  self.process = native.process()
  self.permits = semaphore.new(self.size)
  self.idle = {}
  self.lent = {} -- keeps a connection from being collected together with an abandoned lease
  self.held = setmetatable({}, { __mode = "k" }) -- by task: a list as long as it has leases, since insert and remove are one step each
end

-- options: name (for messages), size, wait (seconds for a free connection), open (function -> connection).
function Pool.new(options)
  local self = setmetatable({ name = options.name, size = options.size, wait = options.wait, open = options.open }, Pool)
  begin(self)
  return self
end

local function refuse(self, err)
  local code = type(err) == "table" and err.code
  if code == "ECLOSED" then fault.raise("db", code, "%s is closed", self.name) end
  if code ~= "ETIMEDOUT" then error(err, 0) end
  fault.raise("db", code, "no connection to %s came free within %g s (all %d are in use)", self.name, self.wait, self.size)
end

-- A task that holds a connection already gets another beyond the limit: to wait, it might wait for itself.
local function admit(self, lease)
  if self.closed then refuse(self, { code = "ECLOSED" }) end
  local held = self.held[lease.task]
  if held and #held > 0 then
    lease.permit = self.permits:try() and self.permits
    return
  end
  local permits = self.permits
  local ok, err = pcall(permits.acquire, permits, self.wait)
  if not ok then refuse(self, err) end
  lease.permit = permits
end

-- Waits, first come first served. Raises ETIMEDOUT, ECLOSED, and what opening raises.
function Pool:take()
  if self.process ~= native.process() then begin(self) end
  local lease = setmetatable({ task = native.current(), permit = false }, Lease)
  admit(self, lease)
  lease.pool = self
  local held = self.held[lease.task] or {} -- nobody else sets it
  self.held[lease.task] = held
  table.insert(held, true)
  lease.held = held
  local conn = table.remove(self.idle)
  if not conn then
    local ok, opened = pcall(self.open)
    if not ok then
      lease:give()
      error(opened, 0)
    end
    conn = opened
  end
  lease.conn = conn
  self.lent[conn] = true
  return lease
end

-- ---- what comes back ----

-- Did it work here? Else a system task tries again: this one may not be able to wait any more. Ctrl-C, which is raised once,
-- is the second result, for whoever runs.
local function try_here(method, conn)
  local ok, err = pcall(method, conn)
  local interrupt = not ok and type(err) == "string" and err:sub(-12) == "interrupted!"
  return ok, interrupt and err or nil
end

local function close(conn)
  local ok, interrupt = try_here(conn.close, conn)
  if not ok then native.spawn_system(pcall, conn.close, conn) end -- it may have been collected, with the pool
  return interrupt
end

local function close_idle(pool)
  local interrupt
  for conn in function() return table.remove(pool.idle) end do interrupt = close(conn) or interrupt end
  return interrupt
end

-- One step each: a finalizer or another task may be here as well.
local function put(pool, conn, permit)
  pool.lent[conn] = nil
  local kept = not pool.closed and #pool.idle < pool.size and pcall(table.insert, pool.idle, conn)
  if permit then permit:release() end
  if not kept then return close(conn) end
  if pool.closed then return close_idle(pool) end -- meanwhile
end

local function drop(pool, conn, permit)
  pool.lent[conn] = nil
  if permit then permit:release() end
end

-- When even this fails, the connection is closed, and the next who takes one opens another.
local function restore(pool, conn, permit)
  if pcall(conn.reset, conn) then return put(pool, conn, permit) end
  pcall(conn.close, conn)
  drop(pool, conn, permit)
end

local function is_clean(conn)
  local ok, clean = pcall(conn.clean, conn)
  return ok and clean
end

local function give_back(pool, conn, permit)
  local ok, interrupt = is_clean(conn), nil
  if not ok then ok, interrupt = try_here(conn.reset, conn) end
  if ok then
    interrupt = put(pool, conn, permit)
  elseif not pcall(native.spawn_system, restore, pool, conn, permit) then -- not even memory for a task
    drop(pool, conn, permit)
  end
  if interrupt then error(interrupt, 0) end
end

function Lease:give()
  local pool, conn = self.pool, self.conn
  if not pool then return end
  self.pool, self.conn = nil, nil
  if self.held then table.remove(self.held) end
  if conn then return give_back(pool, conn, self.permit) end
  if self.permit then self.permit:release() end
end

Lease.__close = Lease.give

-- A finalizer may not wait, and may run between any two lines of this file.
function Lease:__gc()
  if self.pool then native.spawn_system(self.give, self) end
end

-- Closes one that is nobody's.
function Pool.close_connection(conn)
  local interrupt = close(conn)
  if interrupt then error(interrupt, 0) end
end

-- Closes what is idle and wakes who waits, with ECLOSED; connections in use are closed as they come back.
function Pool:close()
  self.closed = true
  self.permits:close()
  local interrupt = close_idle(self)
  if interrupt then error(interrupt, 0) end
end

return Pool
