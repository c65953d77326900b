-- SPDX-License-Identifier: MIT
-- Internal.
-- A database: pools of connections that any number of tasks use at once, and the statements that run on them. What differs between
-- SQLite and PostgreSQL is the driver's (green.db.driver.*), which has
--
--     name                 "sqlite" or "postgres": for what has SQL of its own for each
--     defaults             the options that the driver takes besides green.db's own, with their defaults
--     left_open            code of the error about a statement that left a transaction open
--     connect(db, rest, settings)   sets db.name, db.readers and db.writer (pools, or one and the same), db.single (one connection is all
--                                   there is); waits for nothing
--     kind_of(sql)         "readers" or "writer": which pool has the connection for a statement
--     streams(sql)         may the rows be read in batches while others use the database?
--     columns(db, table)   as db:columns
--     begin(conn, timeout, how)   begins a transaction; how = { isolation =, read_only =, deferrable = }, which the driver heeds or refuses
--     may_retry(code)      may a transaction that failed with this error be begun anew?
--     notify(db, channel, payload)  as db:notify; nil: there is no such thing, as there is no db.listening (green.db.listening)
--     copies               has it COPY, and its connections copy, copy_read, copy_write, copy_end and copy_stop?
--     close(db)            closes what is not in the pools
--
-- and connections, which have query, first, exec and cursor (-> fetch, close); commit, rollback and rollback_to; clean, busy (does
-- anything run still?), in_transaction, reset and close; pin(on), while which statements may change the session, until reset. query, first and fetch return
-- false for a statement that writes, on a connection that only reads.
local copy = require "green.db.copy"
local fault = require "green.error"
local listening = require "green.db.listening"
local native = require "green.task.native"
local options = require "green.options"
local stream = require "green.db.stream"
local transaction = require "green.db.transaction"

local Database = { __name = "green.db.Database" }
Database.__index = Database

local check = fault.receiver(Database, "db")

-- ---- which connection ----

-- Returns the lease that this task's statements go through: its transaction's, or that of its rows loop on the only connection.
function Database:bound_lease()
  local lease = self.bound[native.current()]
  return lease and lease.conn and lease
end

function Database:bind(lease) self.bound[lease.task] = lease end

function Database:unbind(lease)
  if self.bound[lease.task] == lease then self.bound[lease.task] = nil end
end

-- Returns a connection, and what must be closed afterwards (nil: the connection was the task's before). `keeps`: as take's (green.pool.lending).
function Database:lease(kind, keeps)
  local bound = self:bound_lease()
  if bound then return bound.conn end
  local lease = self[kind]:take(nil, keeps)
  return lease.conn, lease
end

-- ---- statements ----

local function check_sql(sql)
  if type(sql) ~= "string" then fault.misuse("SQL text expected, got %s", type(sql)) end
end

local function check_closed_transaction(self, op, conn, lease)
  if not lease or conn:clean() or not conn:in_transaction() then return end
  fault.raise(op, self.driver.left_open, "the statement left a transaction open, which is rolled back: use db:transaction(fn)")
end

-- method: of the connection, query or first.
local function run(self, method, kind, sql, ...)
  local conn, lease = self:lease(kind)
  local _ <close> = lease
  local result = conn[method](conn, self.timeout, self.max_result, sql, ...)
  check_closed_transaction(self, "db.query", conn, lease)
  return result
end

local function query(self, method, sql, ...)
  check_sql(sql)
  return run(self, method, self.driver.kind_of(sql), sql, ...) or run(self, method, "writer", sql, ...)
end

function Database:query(sql, ...)
  check(self, "query")
  return query(self, "query", sql, ...)
end

function Database:one(sql, ...)
  check(self, "one")
  return query(self, "first", sql, ...)[1]
end

function Database:value(sql, ...)
  check(self, "value")
  local result = query(self, "first", sql, ...)
  local row = result[1]
  return row and row[result.columns[1]]
end

function Database:exec(sql, ...)
  check(self, "exec")
  local conn, lease = self:lease("writer")
  local _ <close> = lease
  local affected, last_id = conn:exec(self.timeout, sql, ...)
  check_closed_transaction(self, "db.exec", conn, lease)
  return affected, last_id
end

function Database:rows(sql, ...)
  check(self, "rows")
  check_sql(sql)
  return stream(self, sql, ...)
end

local function check_function(where, fn)
  if type(fn) ~= "function" then fault.misuse("%s: a function expected, got %s", where, type(fn)) end
end

-- Of a connection that is pinned: `outer` is the lease that the task had before.
local Pin = {}

function Pin:__close()
  local lease = self.lease
  lease.pinned = nil
  if lease.conn then pcall(lease.conn.pin, lease.conn, false) end
  if self.outer then return end
  self.db:unbind(lease)
  lease:give()
end

function Database:pin(fn)
  check(self, "pin")
  check_function("db:pin", fn)
  local outer = self:bound_lease()
  if outer and outer.pinned then return fn() end
  local lease = outer or self.writer:take(nil, true)
  local _ <close> = setmetatable({ db = self, lease = lease, outer = outer }, Pin)
  lease.conn:pin(true)
  lease.pinned = true
  self:bind(lease)
  return fn()
end

local HOW = {
  isolation = { "read committed", "repeatable read", "serializable" }, read_only = "boolean", deferrable = "boolean", retries = "whole",
}

function Database:transaction(fn, how)
  check(self, "transaction")
  check_function("db:transaction", fn)
  return transaction.run(self, options.check("db:transaction", how, HOW), fn)
end

-- Calls fn once the transaction of this task is committed, or at once without one.
function Database:after_commit(fn)
  check(self, "after_commit")
  check_function("db:after_commit", fn)
  transaction.after(self, fn)
end

-- ---- COPY ----

local function check_copies(self, op)
  if not self.driver.copies then fault.raise(op, "ENOTSUP", "%s has no COPY: PostgreSQL has", self.name) end
end

function Database:copy_out(sql)
  check(self, "copy_out")
  check_sql(sql)
  check_copies(self, "db.copy_out")
  return copy.out(self, sql)
end

local function next_of(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

function Database:copy_in(sql, source)
  check(self, "copy_in")
  check_sql(sql)
  if type(source) == "string" then source = { source } end
  local callable = type(source) == "function" or (getmetatable(source) or {}).__call
  if not callable and type(source) ~= "table" then fault.misuse("db:copy_in: a function, a list or a string expected, got %s", type(source)) end
  check_copies(self, "db.copy_in")
  return copy.into(self, sql, callable and source or next_of(source))
end

-- ---- notifications ----

local function check_notifies(self, op)
  if not self.driver.notify then fault.raise(op, "ENOTSUP", "%s sends no notifications: PostgreSQL does, and so does green.hub", self.name) end
end

function Database:listen(...)
  check(self, "listen")
  local topics, given = listening.check_listen(...)
  check_notifies(self, "db.listen")
  return self.listening:listen(self.timeout, topics, given)
end

function Database:notify(channel, payload)
  check(self, "notify")
  check_notifies(self, "db.notify")
  if payload ~= nil then options.argument("db:notify", "payload", payload, "string") end
  self.driver.notify(self, channel, payload or "")
end

-- Returns what the pools know, by their names.
function Database:stats()
  check(self, "stats")
  local writer = self.writer:stats()
  local stats = { writer = writer, readers = self.readers == self.writer and writer or self.readers:stats() }
  if self.listening then stats.listening = self.listening:stats() end
  return stats
end

local LIMITS = { timeout = "time", max_result = "count" }

-- Returns the same database, with the same connections and transactions, and other limits for the statements of whoever uses it.
function Database:with(limits)
  check(self, "with")
  options.check("db:with", limits, LIMITS)
  local same = setmetatable({}, Database)
  for name, value in pairs(self) do same[name] = value end
  for name, value in pairs(limits or {}) do same[name] = value end
  same.whole = self.whole or self
  return same
end

-- Returns the columns of a table, in order: { name =, key = its place in the primary key, or 0 }.
function Database:columns(name)
  check(self, "columns")
  return self.driver.columns(self, name)
end

function Database:close()
  check(self, "close")
  if self.whole then return self.whole:close() end
  self.readers:close()
  self.writer:close()
  self.driver.close(self)
end

Database.__close = Database.close

function Database:__tostring() return "db: " .. self.name end

-- Makes a database of what follows the scheme in a URL. Waits for nothing.
return function(driver, rest, settings)
  local self = setmetatable({
    driver = driver,
    bound = setmetatable({}, { __mode = "v" }), -- by task
    timeout = settings.timeout,
    max_result = settings.max_result,
  }, Database)
  driver.connect(self, rest, settings)
  return self
end
