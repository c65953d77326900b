-- SPDX-License-Identifier: MIT
-- Internal.
-- A bounded pool lends its connections, one lease at a time. The pool, never the user of a connection, decides what becomes of one that
-- comes back: a clean connection is used again; one with a running statement, an open cursor or an open transaction is reset first, by
-- the task that gives it back if that task may still wait, else by a system task, which inherits neither deadline nor cancel. The
-- permit is released when the connection is back.
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

-- A lease is { conn =, pool =, task =, permit = the semaphore that the permit is of }. Its user gives it back by lease:give() or <close>; an
-- abandoned lease is given back when it is collected.
local Lease = {}
Lease.__index = Lease

-- Makes the pool empty: at first, and in a child that a C module forked, where the connections belong to the parent.
local function begin(self)
  local _ <close> = scope.atomic()
  self.process = native.process()
  self.permits = semaphore.new(self.size)
  self.idle = {}
  self.lent = {} -- keeps the connection of an abandoned lease from being collected with it
  self.held = setmetatable({}, { __mode = "k" }) -- counts a task's leases by a list's length, since table.insert and table.remove are not preempted
end

-- Makes a pool. `options` holds name (for messages), size, wait (seconds for a free connection) and open (a function -> connection).
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

-- Waits for a permit. A task that holds a connection already gets another one beyond the limit, since otherwise it might wait for itself.
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

-- Takes a connection and returns its lease; waiting tasks are served in order. Raises ETIMEDOUT, ECLOSED, and what opening raises.
function Pool:take()
  if self.process ~= native.process() then begin(self) end
  local lease = setmetatable({ task = native.current(), permit = false }, Lease)
  admit(self, lease)
  lease.pool = self
  local held = self.held[lease.task] or {} -- only this task sets its own entry
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

-- Calls a method in this task, and returns whether it worked. If not, the caller lets a system task try again, since this one may be
-- cancelled. Ctrl-C, which is raised only once, is the second result: the caller raises it when the connection is dealt with.
local function try_here(method, conn)
  local ok, err = pcall(method, conn)
  local interrupt = not ok and type(err) == "string" and err:sub(-12) == "interrupted!"
  return ok, interrupt and err or nil
end

local function close(conn)
  local ok, interrupt = try_here(conn.close, conn)
  if not ok then native.spawn_system(pcall, conn.close, conn) end -- pcall, since the connection may be collected with the pool before the task runs
  return interrupt
end

local function close_idle(pool)
  local interrupt
  for conn in function() return table.remove(pool.idle) end do interrupt = close(conn) or interrupt end
  return interrupt
end

-- Puts a connection into `idle`, or closes it. A finalizer or another task may run between any two lines, so that each line is correct by
-- itself.
local function put(pool, conn, permit)
  pool.lent[conn] = nil
  local kept = not pool.closed and #pool.idle < pool.size and pcall(table.insert, pool.idle, conn)
  if permit then permit:release() end
  if not kept then return close(conn) end
  if pool.closed then return close_idle(pool) end -- the pool was closed after `kept` was decided
end

local function drop(pool, conn, permit)
  pool.lent[conn] = nil
  if permit then permit:release() end
end

-- Resets a connection in a system task. If that fails as well the connection is closed, and the next lease opens another.
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
  elseif not pcall(native.spawn_system, restore, pool, conn, permit) then -- there was no memory for a task
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

-- Gives back an abandoned lease, in a system task since a finalizer may not wait.
function Lease:__gc()
  if self.pool then native.spawn_system(self.give, self) end
end

-- Closes a connection that no pool holds.
function Pool.close_connection(conn)
  local interrupt = close(conn)
  if interrupt then error(interrupt, 0) end
end

-- Closes the idle connections and raises ECLOSED in the tasks that wait for one. Connections in use are closed as they come back.
function Pool:close()
  self.closed = true
  self.permits:close()
  local interrupt = close_idle(self)
  if interrupt then error(interrupt, 0) end
end

return Pool
