-- SPDX-License-Identifier: MIT
-- Internal.
-- Transactions. A failure leaves through <close> guards, not through pcall: so the error and its traceback arrive untouched, and a
-- cancelled task, which cannot wait any more, still gives back its connection, which the pool then rolls back.
--
--     none --outermost: begin--> open --commit--> committed --Guard.__close--> none
--                                 | ^
--              savepoint          | | release; Savepoint.__close: rollback_to
--              (depth + 1)        v |
--                                open, inside of a savepoint --Savepoint.__close: rollback_to fails--> broken
--
--     open, broken --fn raises; commit fails or finds `broken`--> Guard.__close --the lease was taken here: give--> the pool resets it
--                                                                     '--a rows loop's lease: rollback------> none
--
--  1. lease.transaction is true from begin to Guard.__close; db:transaction of the same task is a savepoint exactly then.
--  2. Savepoints end in the reverse order of their beginning, and before the outermost: each is a <close> variable of its caller.
--  3. Only the outermost commits, after its function has returned, and never once a savepoint could not be rolled back (`broken`).
--  4. A rollback has a deadline of its own: the user's deadline or cancel may be the reason for the rollback.
--  5. The lease is bound to the task from begin to Guard.__close, so that every statement of the task goes into the transaction.
local scope = require "green.scope.native"

-- Rollbacks have these seconds of their own, since a deadline that has passed may be their cause.
local CLEAN_UP = 5

-- ---- the outermost transaction: it takes a connection, unless a rows loop of this task holds the only one ----

local Guard = {}

function Guard:__close()
  local db, lease, outer = self.db, self.lease, self.outer
  lease.transaction = nil
  db:unbind(lease)
  if not outer then return lease:give() end
  db:bind(outer)
  if self.committed then return end
  local _ <close> = scope.enter(CLEAN_UP, true)
  pcall(outer.conn.rollback, outer.conn)
end

local function commit(guard, ...)
  local lease = guard.lease
  if lease.broken then error(lease.broken, 0) end
  lease.conn:commit(guard.db.timeout)
  guard.committed = true
  return ...
end

local function outermost(db, outer, fn, ...)
  local lease = outer or db.writer:take()
  local guard <close> = setmetatable({ db = db, lease = lease, outer = outer }, Guard)
  lease.conn:begin(db.timeout)
  lease.transaction, lease.broken, lease.depth = true, nil, 0
  db:bind(lease)
  return commit(guard, fn(...))
end

-- ---- a transaction inside another: a savepoint ----

local Savepoint = {}

-- Rolls back to a savepoint that was not released. If that fails, `broken` keeps the whole transaction from being committed.
function Savepoint:__close()
  local lease = self.lease
  lease.depth = lease.depth - 1
  if self.released then return end
  local _ <close> = scope.enter(CLEAN_UP, true)
  local ok, err = pcall(lease.conn.rollback_to, lease.conn, self.name)
  if not ok then lease.broken = err end
end

local function release(guard, ...)
  guard.lease.conn:exec(guard.db.timeout, "RELEASE " .. guard.name)
  guard.released = true
  return ...
end

local function savepoint(db, lease, fn, ...)
  local name = "green_" .. lease.depth + 1
  lease.conn:exec(db.timeout, "SAVEPOINT " .. name)
  lease.depth = lease.depth + 1
  local guard <close> = setmetatable({ db = db, lease = lease, name = name }, Savepoint)
  return release(guard, fn(...))
end

-- db:transaction(fn, ...): calls fn(...) in a transaction of this task, or in a savepoint of the one that is open, and returns its
-- results. Waits for a connection and for each statement of its own. Raises what fn raises, after the rollback.
return function(db, fn, ...)
  local bound = db:bound_lease()
  if bound and bound.transaction then return savepoint(db, bound, fn, ...) end
  return outermost(db, bound, fn, ...)
end
