-- SPDX-License-Identifier: MIT
-- Internal.
-- A bounded pool lends its connections, one lease at a time; green.db and green.pool are made of it. The pool, never the user of a
-- connection, decides what becomes of one that comes back: a clean connection is used again; one with an open cursor or an open
-- transaction is reset first, by the task that gives it back if that task may still wait, else by a system task, which inherits
-- neither deadline nor cancel; one on which something runs still, whose task has given up waiting for just that, keeps this task for a
-- moment only, in which a server that answers has stopped it; a broken one is closed by a system task. The permit is released when the
-- connection is back, or gone.
--
--      (none) --take: open()--> leased --give: clean--> idle --take--> leased
--         |                       |                      ^ '--take: not fit; sweep; close--> closed
--         '--fill: open(), in a system task--------------'
--                                 |--give: dirty--> dirty --kind.reset, here or in a system task--> idle
--                                 |--give: busy---> busy ---kind.reset, here for a MOMENT, or as above--> idle
--                                 |                   '--reset of either fails--> closed
--                                 '--give: broken--> broken --kind.close, in a system task--> closed
--
--  1. A connection is in `idle`, or in `lent` (leased, dirty, busy or broken), or closed: never in two of these.
--  2. A permit is held exactly as long as its connection is leased, dirty, busy or broken, or is made to be idle; a lease beyond the limit
--     (of a task that holds one already, where the pool allows that) may have none.
--  3. No lease leaves `lent` without its permit: put and drop do both in one step.
--  4. Nothing is put into `idle` of a pool that is closed and stays there.
--
-- What a pool lends is kept in an entry, { conn =, dies = the second from which on it is too old, since = the one in which it became idle,
-- task = the number of the task that has, or last had, it, taken = the second in which it got it, place = where in the user's file, if it
-- was taken for longer than a statement }.
local alarm = require "green.pool.alarm"
local counters = require "green.pool.counters"
local fault = require "green.error"
local holders = require "green.pool.holders"
local leaks = require "green.pool.leaks"
local native = require "green.task.native"
local place = require "green.place"
local scope = require "green.scope.native"
local semaphore = require "green.semaphore"
local timer = require "green.timer.native"

-- Seconds for which whoever gave up a statement waits for its end. So what timed out behind a lock does not run after all when the lock
-- goes; only a server that is silent may still do that.
local MOMENT = 0.5

-- Part of max_age by which some connections end before others: those that were opened together are not all opened anew together.
local JITTER = 0.1

local Pool = { MOMENT = MOMENT }
Pool.__index = Pool

-- A lease is { conn =, entry =, pool =, task =, place = as the entry's, permit = the semaphore that the permit is of, held = the list that counts its task's,
-- interruptions = how often the task had been interrupted when it got the lease }. Its user gives it back by lease:give() or
-- <close>; an abandoned lease is given back when it is collected.
local Lease = { __name = "green.Lease" }
Lease.__index = Lease

local add = counters.add

local is_lease = fault.receiver(Lease, "lease")

-- How to deal with connections that know it themselves. `judge` says of one that comes back whether it is "clean", "dirty", "busy" or
-- "broken"; `reset` (in at most so many seconds, if that is given) and `close` raise when they fail, and do all of it when they are
-- called again.
local METHODS = {
  judge = function(lease)
    local conn = lease.entry.conn
    local ok, clean = pcall(conn.clean, conn)
    if ok and clean then return "clean" end
    local known, busy = pcall(conn.busy, conn)
    return known and busy and "busy" or "dirty"
  end,
  reset = function(conn, seconds) conn:reset(seconds) end,
  close = function(conn) conn:close() end,
}

-- Makes the pool empty: at first, and in a child that a C module forked, where the connections belong to the parent.
local function begin(self)
  local _ <close> = scope.atomic()
  self.process = native.process()
  self.permits = semaphore.new(self.size)
  self.empty = semaphore.new(1) -- whose only permit nobody gives back: closed once a closed pool has all its permits
  self.empty:try()
  self.idle, self.due = {}, nil -- due: when the alarm goes off
  self.leaks_due = nil -- when that of green.pool.leaks goes off
  self.lent = {} -- keeps the connection of an abandoned lease from being collected with it
  self.line = {} -- as long as the line of tasks that wait for a permit
  self.held = setmetatable({}, { __mode = "k" }) -- counts a task's leases by a list's length, since table.insert and table.remove are not preempted
  self.count = counters.new()
  self.filling = false -- a system task opens connections
end

-- Makes a pool. `options` holds op (for errors: "db"), name (for messages), size, wait (seconds for a free connection), open (a
-- function -> connection), and if need be kind (as METHODS), beyond (a task that has a connection gets others beyond the limit),
-- leak_after (seconds for which a task may have a connection without being logged), max_idle (connections), min (connections that stay
-- open), fit (a function(entry) -> may it be lent again?), idle_time and max_age (seconds after which one that is idle is closed).
function Pool.new(options)
  local self = setmetatable({}, Pool)
  for name, value in pairs(options) do self[name] = value end
  self.kind = self.kind or METHODS
  self.max_idle = self.max_idle or self.size
  self.min = math.min(self.min or 0, self.size, self.max_idle)
  self.idle_time, self.max_age = self.idle_time or math.huge, self.max_age or math.huge
  begin(self)
  return self
end

-- ---- closing ----

-- Calls fn(conn, seconds) in this task, and returns whether it worked. If not, the caller lets a system task try again, since this one may be
-- cancelled. Ctrl-C, which is raised only once, is the second result: the caller raises it when the connection is dealt with.
local function try_here(fn, conn, seconds)
  local ok, err = pcall(fn, conn, seconds)
  local interrupt = not ok and type(err) == "string" and err:sub(-12) == "interrupted!"
  return ok, interrupt and err or nil
end

local function close(self, conn)
  add(self, "closed", 1)
  local ok, interrupt = try_here(self.kind.close, conn)
  if not ok then native.spawn_system(pcall, self.kind.close, conn) end -- pcall, since the connection may be collected with the pool before the task runs
  return interrupt
end

local function close_idle(self)
  local interrupt
  while true do
    local entry = table.remove(self.idle)
    if not entry then return interrupt end
    interrupt = close(self, entry.conn) or interrupt
  end
end

-- Releases a permit. Whoever waits for a closed pool to be empty is woken by the last one.
local function release(self, permit)
  if not permit then return end
  permit:release()
  if self.closed and permit == self.permits and permit:available() == self.size then self.empty:close() end
end

-- ---- what is idle ----

local function count_open(self) return #self.idle + self.size - self.permits:available() end

-- When an idle entry expires. Of as few as are to stay open none is idle for too long.
local function expiry(self, entry)
  return count_open(self) > self.min and math.min(entry.since + self.idle_time, entry.dies) or entry.dies
end

-- Takes the first entry that has expired out of `idle`. Nobody else touches the list meanwhile.
local function remove_expired(self)
  local _ <close> = scope.atomic()
  local now = timer.now()
  for i, entry in ipairs(self.idle) do
    if expiry(self, entry) <= now then return table.remove(self.idle, i) end
  end
end

local watch, fill

-- Closes what has expired, when the alarm goes off.
local function sweep(self)
  while true do
    local entry = remove_expired(self)
    if not entry then break end
    add(self, "expired", 1)
    close(self, entry.conn)
  end
  self.due = nil
  for _, entry in ipairs(self.idle) do watch(self, entry) end
  fill(self)
end

-- Sets the alarm for an entry of `idle`, unless it goes off earlier.
function watch(self, entry)
  local due = expiry(self, entry)
  if due == math.huge or self.due and self.due <= due then return end
  self.alarm = self.alarm or alarm(self, sweep)
  self.alarm:set(math.max(due - timer.now(), 0))
  self.due = due
end

-- Puts a connection into `idle`, or closes it. A finalizer or another task may run between any two lines, so that each line is correct by
-- itself.
local function put(self, entry, permit)
  self.lent[entry] = nil
  entry.since = timer.now()
  local kept = not self.closed and #self.idle < self.max_idle and pcall(table.insert, self.idle, entry)
  release(self, permit)
  if not kept then return close(self, entry.conn) end
  if self.closed then return close_idle(self) end -- the pool was closed after `kept` was decided
  pcall(watch, self, entry) -- without memory it expires when it is looked at
end

local function drop(self, entry, permit)
  self.lent[entry] = nil
  release(self, permit)
  fill(self)
end

-- ---- opening ----

local function open(self)
  local conn = self.open()
  add(self, "opened", 1)
  return { conn = conn, dies = timer.now() + self.max_age * (1 - JITTER * math.random()), since = 0, task = false, taken = 0, place = false }
end

local function is_short(self) return not self.closed and count_open(self) < self.min end

-- Opens what is missing. If that fails it is tried again when something else is closed or taken.
local function fill_up(self)
  while is_short(self) and self.permits:try() do
    local ok, entry = pcall(open, self)
    if not ok then return release(self, self.permits) end
    put(self, entry, self.permits)
  end
end

local function fill_aside(self)
  pcall(fill_up, self)
  self.filling = false
end

-- Has a system task open what is missing of the least number.
function fill(self)
  if self.min == 0 or self.filling or not is_short(self) then return end
  self.filling = true
  if not pcall(native.spawn_system, fill_aside, self) then self.filling = false end
end

-- ---- taking ----

local function refuse(self, err, seconds)
  local code = type(err) == "table" and err.code
  if code == "ECLOSED" then fault.raise(self.op, code, "%s is closed", self.name) end
  if code ~= "ETIMEDOUT" then error(err, 0) end
  add(self, "timeouts", 1)
  fault.raise(self.op, code, "no connection to %s came free within %g s (all %d are in use%s)", self.name, seconds, self.size, holders.text(self))
end

-- Waits in line for a permit.
local function wait(self, permits, seconds)
  local began = timer.now()
  table.insert(self.line, true)
  local ok, err = pcall(permits.acquire, permits, seconds)
  table.remove(self.line)
  counters.add_wait(self, timer.now() - began)
  if not ok then refuse(self, err, seconds) end
end

-- Gets a permit. A task that has connections already would wait for itself if these are all: it gets one beyond the limit, or an error.
local function admit(self, lease, seconds)
  local permits, held = self.permits, self.held[lease.task]
  if self.closed then refuse(self, { code = "ECLOSED" }) end
  if permits:try() then
    lease.permit = permits
  elseif #held > 0 and self.beyond then
    return
  elseif #held >= self.size then
    fault.raise(self.op, "EDEADLK", "the task waits for itself: it has all %d connections to %s", self.size, self.name)
  else
    wait(self, permits, seconds)
    lease.permit = permits
  end
end

-- Takes an idle connection. The lease has it, as a broken one, while it is looked at.
local function reuse(self, lease)
  while true do -- an error that ends the task comes where the loop repeats
    local entry = table.remove(self.idle)
    if not entry then return end
    lease.entry, lease.broken = entry, true
    self.lent[entry] = true
    entry.task, entry.taken, entry.place = lease.task, timer.now(), lease.place
    if expiry(self, entry) <= timer.now() then add(self, "expired", 1)
    elseif not self.fit or self.fit(entry) then
      lease.broken = false
      return entry
    else
      add(self, "broken", 1)
    end
    lease.entry, self.lent[entry] = false, nil
    close(self, entry.conn)
  end
end

local function obtain(self, lease)
  local held = self.held[lease.task]
  table.insert(held, true)
  lease.held = held
  local entry = reuse(self, lease) or open(self)
  lease.broken, lease.entry, lease.conn = false, entry, entry.conn
  self.lent[entry] = true
  entry.task, entry.taken, entry.place = lease.task, timer.now(), lease.place
  if self.leak_after then leaks.watch(self, entry) end
end

-- Takes a connection and returns its lease; waiting tasks are served in order. Waits for at most `seconds`, by default as the pool was
-- told. `keeps`: the user's code runs while the task has the connection, so that reports say where it was taken. Raises ETIMEDOUT, ECLOSED,
-- EDEADLK, and what opening raises.
function Pool:take(seconds, keeps)
  if self.process ~= native.process() then begin(self) end
  -- All its fields are there from the beginning: memory must not run out where it has a permit already.
  local lease = setmetatable({
    task = native.current(), place = keeps and place.text() or false, permit = false, pool = false, entry = false, conn = false,
    broken = false, held = false, interruptions = false,
  }, Lease)
  self.held[lease.task] = self.held[lease.task] or {} -- only this task sets its own entry
  admit(self, lease, seconds or self.wait)
  lease.pool = self
  local ok, err = pcall(obtain, self, lease)
  if not ok then
    lease:give()
    error(err, 0)
  end
  lease.interruptions = native.interruptions()
  fill(self)
  return lease
end

Pool.stats = counters.stats

-- ---- what comes back ----

-- Runs fn(self, entry, permit) in a system task. Without memory for one the connection is dropped, and goes when it is collected.
local function aside(self, fn, entry, permit)
  if not pcall(native.spawn_system, fn, self, entry, permit) then drop(self, entry, permit) end
end

-- Closes a broken connection, in a system task.
local function discard(self, entry, permit)
  pcall(self.kind.close, entry.conn)
  add(self, "closed", 1)
  drop(self, entry, permit)
end

-- Resets a connection in a system task. If that fails as well the connection is closed, and the next lease opens another.
local function restore(self, entry, permit)
  if pcall(self.kind.reset, entry.conn) then return put(self, entry, permit) end
  discard(self, entry, permit)
end

local function give_back(self, entry, permit, state)
  local ok, interrupt = state == "clean", nil
  if state == "dirty" or state == "busy" then ok, interrupt = try_here(self.kind.reset, entry.conn, state == "busy" and MOMENT or nil) end
  if ok then
    interrupt = put(self, entry, permit)
  else
    if state == "broken" then add(self, "broken", 1) end
    aside(self, state == "broken" and discard or restore, entry, permit)
  end
  if interrupt then error(interrupt, 0) end
end

-- Gives the connection back; `err` is the error that leaves the scope of the lease.
local function give(lease, err)
  local pool, entry = lease.pool, lease.entry
  if not pool then return end
  lease.pool, lease.conn = false, nil
  if lease.held then table.remove(lease.held) end
  if not entry then return release(pool, lease.permit) end
  local state = lease.broken and "broken" or pool.kind.judge(lease, err)
  lease.entry = false
  give_back(pool, entry, lease.permit, state)
end

function Lease:give()
  is_lease(self, "give")
  give(self)
end

--- Gives the connection back as one that is not to be used again.
function Lease:discard()
  is_lease(self, "discard")
  self.broken = true
  give(self)
end

Lease.__close = give

-- Gives back an abandoned lease, in a system task since a finalizer may not wait.
function Lease:__gc()
  if self.pool then native.spawn_system(give, self) end
end

-- Closes a connection that no pool holds.
function Pool.close_connection(conn)
  local ok, interrupt = try_here(METHODS.close, conn)
  if not ok then native.spawn_system(pcall, METHODS.close, conn) end
  if interrupt then error(interrupt, 0) end
end

-- Closes the idle connections and raises ECLOSED in the tasks that wait for one. Connections in use are closed as they come back.
function Pool:close()
  self.closed = true
  self.permits:close()
  local interrupt = close_idle(self)
  if self.permits:available() == self.size then self.empty:close() end
  if interrupt then error(interrupt, 0) end
end

return Pool
