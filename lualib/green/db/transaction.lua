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
--  4. A rollback has a deadline of its own: the user's deadline or cancel may be the reason for the rollback. Behind a statement that
--     was given up it is short: a server that answers has stopped it by then, and for one that is silent nobody waits. What could not
--     be rolled back is refused from then on, until the pool puts the connection right.
--  5. The lease is bound to the task from begin to Guard.__close, so that every statement of the task goes into the transaction.
local fault = require "green.error"
local lending = require "green.pool.lending"
local native = require "green.task.native"
local scope = require "green.scope.native"
local timer = require "green.timer.native"

-- Rollbacks have these seconds of their own, since a deadline that has passed may be their cause.
local CLEAN_UP = 5

local function patience(conn) return conn:busy() and lending.MOMENT or CLEAN_UP end

-- ---- the outermost transaction: it takes a connection, unless a rows loop of this task holds the only one ----

local Guard = {}

function Guard:__close()
  local db, lease, outer = self.db, self.lease, self.outer
  lease.transaction, lease.hooks = nil, nil
  db:unbind(lease)
  if not outer then return lease:give() end
  db:bind(outer)
  if self.committed then return end
  local _ <close> = scope.enter(CLEAN_UP, true)
  pcall(outer.conn.rollback, outer.conn, patience(outer.conn))
end

local function commit(guard, ...)
  local lease = guard.lease
  if lease.broken then error(lease.broken, 0) end
  lease.conn:commit(guard.db.timeout)
  guard.committed = true
  return ...
end

local function outermost(db, outer, how, hooks, fn)
  local pool = how.read_only and db.readers or db.writer
  local lease = outer or pool:take(nil, true)
  local guard <close> = setmetatable({ db = db, lease = lease, outer = outer }, Guard)
  db.driver.begin(lease.conn, db.timeout, how)
  lease.transaction, lease.broken, lease.depth, lease.hooks = true, nil, 0, hooks
  db:bind(lease)
  return commit(guard, fn())
end

-- ---- a transaction inside another: a savepoint ----

local Savepoint = {}

-- Rolls back to a savepoint that was not released. If that fails, `broken` keeps the whole transaction from being committed.
function Savepoint:__close()
  local lease = self.lease
  lease.depth = lease.depth - 1
  if self.released then return end
  for i = #lease.hooks, self.hooks + 1, -1 do lease.hooks[i] = nil end
  local _ <close> = scope.enter(CLEAN_UP, true)
  local ok, err = pcall(lease.conn.rollback_to, lease.conn, self.name, patience(lease.conn))
  if not ok then lease.broken = err end
end

local function release(guard, ...)
  guard.lease.conn:exec(guard.db.timeout, "RELEASE " .. guard.name)
  guard.released = true
  return ...
end

local function savepoint(db, lease, fn)
  local name = "green_" .. lease.depth + 1
  lease.conn:exec(db.timeout, "SAVEPOINT " .. name)
  lease.depth = lease.depth + 1
  local guard <close> = setmetatable({ db = db, lease = lease, name = name, hooks = #lease.hooks }, Savepoint)
  return release(guard, fn())
end

-- ---- what comes after ----

-- Calls the hooks. What is committed stays so, whatever becomes of them: a caller must not take their error for the transaction's.
local function finish(hooks, ...)
  for _, hook in ipairs(hooks) do
    local ok, err = pcall(hook)
    if not ok then native.log("db:after_commit: the transaction is committed, and a function to be called after it failed", err) end
  end
  return ...
end

local function once(db, outer, how, fn)
  local hooks = {}
  return finish(hooks, outermost(db, outer, how, hooks, fn))
end

-- ---- once more ----

local PAUSE, LONGEST = 0.01, 1 -- seconds: the first pause, which doubles, and the longest

local function pause(tries) timer.sleep(math.min(PAUSE * 2 ^ (tries - 1), LONGEST) * (0.5 + math.random() / 2)) end

-- Tells whether an attempt has a result: not if it failed as those do that got into each other's way.
local function is_settled(db, ok, err) return ok or type(err) ~= "table" or type(err.code) ~= "string" or not db.driver.may_retry(err.code) end

local function settle(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

local function repeated(db, outer, how, fn)
  for tries = 1, how.retries do
    local result = table.pack(pcall(once, db, outer, how, fn))
    if is_settled(db, result[1], result[2]) then return settle(table.unpack(result, 1, result.n)) end
    pause(tries)
  end
  return once(db, outer, how, fn)
end

-- ---- for green.db.database ----

local M = {}

-- Is for the outermost transaction, and would be ignored in another.
local OUTERMOST = { "isolation", "read_only", "deferrable" }

local function check_inner(how)
  for _, name in ipairs(OUTERMOST) do
    if how[name] then fault.raise("db:transaction", "EINVAL", "option '%s': the transaction has begun already, without it", name) end
  end
end

-- As db:transaction; `how` are its options, checked.
function M.run(db, how, fn)
  local bound = db:bound_lease()
  if bound and bound.transaction then
    check_inner(how)
    return savepoint(db, bound, fn)
  end
  return (how.retries and repeated or once)(db, bound, how, fn)
end

-- As db:after_commit.
function M.after(db, fn)
  local bound = db:bound_lease()
  if bound and bound.transaction then table.insert(bound.hooks, fn) else fn() end
end

return M
