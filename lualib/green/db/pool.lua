-- SPDX-License-Identifier: MIT
-- A bounded pool of connections, on loan one lease at a time. The pool decides what becomes of a connection
-- that comes back, never its user: a clean one is used again; one with a statement still running, an open
-- cursor or an open transaction is put right first, in this task if it may still wait, else in one of its own.
local fault = require "green.error"
local native = require "green.task.native"
local semaphore = require "green.semaphore"

local Pool = {}
Pool.__index = Pool

-- { conn =, pool =, task =, permit = }. Give it back by name or with <close>; an abandoned one is given back
-- when it is collected.
local Lease = {}
Lease.__index = Lease

-- options: name (for messages), size, wait (seconds for a free connection), open (function -> connection).
function Pool.new(options)
  return setmetatable({
    name = options.name,
    size = options.size,
    wait = options.wait,
    open = options.open,
    permits = semaphore.new(options.size),
    idle = {},
    lent = {}, -- keeps a connection from being collected together with an abandoned lease
    held = {}, -- by task: how many leases
  }, Pool)
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
  if self.held[lease.task] then
    lease.permit = self.permits:try()
    return
  end
  local ok, err = pcall(self.permits.acquire, self.permits, self.wait)
  if not ok then refuse(self, err) end
  lease.permit = true
end

-- Waits, first come first served. Raises ETIMEDOUT, ECLOSED, and what opening raises.
function Pool:take()
  local lease = setmetatable({ task = native.current() }, Lease)
  admit(self, lease)
  lease.pool = self
  self.held[lease.task] = (self.held[lease.task] or 0) + 1
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

local function put(self, conn, ok, permit)
  if conn then self.lent[conn] = nil end
  if ok and not self.closed and #self.idle < self.size then
    self.idle[#self.idle + 1] = conn
  elseif ok and native.current() then
    native.spawn(pcall, conn.close, conn) -- in a finalizer it may be gone by then, with the pool
  end
  if permit then self.permits:release() end
end

-- A cancelled task may not wait any more, and a finalizer never; with no task at all the host is closing.
local function restore(self, conn, permit)
  if pcall(conn.reset, conn) then return put(self, conn, true, permit) end
  if not native.current() then return end
  native.spawn(function() put(self, conn, pcall(conn.reset, conn), permit) end)
end

local function is_clean(conn)
  local ok, clean = pcall(conn.clean, conn)
  return ok and clean
end

function Lease:give()
  local pool, conn = self.pool, self.conn
  if not pool then return end
  self.pool, self.conn = nil, nil
  local held = pool.held[self.task] - 1
  pool.held[self.task] = held > 0 and held or nil
  if not conn or is_clean(conn) then put(pool, conn, conn, self.permit)
  else restore(pool, conn, self.permit) end
end

Lease.__close = Lease.give
Lease.__gc = Lease.give

-- Closes what is idle and wakes who waits, with ECLOSED; connections in use are closed as they come back.
function Pool:close()
  self.closed = true
  self.permits:close()
  while #self.idle > 0 do table.remove(self.idle):close() end
end

return Pool
