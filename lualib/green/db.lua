-- SPDX-License-Identifier: MIT
-- Databases: a pool that any number of tasks use at once. For a SQLite file that is a few connections that
-- read and one that writes: SQLite has one writer at a time, and waiting in our queue is first come first
-- served. A database in memory is one connection, used by turns.
local fault = require "green.error"
local native = require "green.task.native"
local Pool = require "green.db.pool"
local sqlite = require "green.db.sqlite"
local stream = require "green.db.stream"
local transaction = require "green.db.transaction"

local Database = { __name = "green.db.Database" }
Database.__index = Database

local DEFAULTS = {
  readers = 4,              -- connections that read
  wait = 5,                 -- seconds for a free connection
  timeout = 30,             -- seconds for one statement
  max_result = 64 << 20,    -- bytes of rows one query may gather
}

-- ---- which connection ----

local READS = { SELECT = true, WITH = true, VALUES = true, EXPLAIN = true, PRAGMA = true }

-- A guess by the first word. A connection that reads refuses what writes after all (false), and it is done again.
function Database.kind_of(sql)
  if type(sql) ~= "string" then fault.misuse("SQL text expected, got %s", type(sql)) end
  return READS[sql:match("^%s*(%a*)"):upper()] and "readers" or "writer"
end

-- The lease this task's statements go through: of its transaction, or of its rows loop on the only connection.
function Database:bound_lease()
  local lease = self.bound[native.current()]
  return lease and lease.conn and lease
end

function Database:bind(lease) self.bound[lease.task] = lease end

function Database:unbind(lease)
  if self.bound[lease.task] == lease then self.bound[lease.task] = nil end
end

-- A connection, and what has to be closed afterwards (nil when it is the task's already).
function Database:lease(kind)
  local bound = self:bound_lease()
  if bound then return bound.conn end
  local lease = self[kind]:take()
  return lease.conn, lease
end

-- ---- statements ----

local function check_closed_transaction(op, conn, lease)
  if not lease or conn:clean() then return end
  fault.raise(op, "SQLITE_MISUSE", "the statement left a transaction open, which is rolled back: use db:transaction(fn)")
end

local function query(self, kind, sql, ...)
  local conn, lease = self:lease(kind)
  local _ <close> = lease
  local result = conn:query(self.timeout, self.max_result, sql, ...)
  check_closed_transaction("db.query", conn, lease)
  return result
end

function Database:query(sql, ...)
  return query(self, self.kind_of(sql), sql, ...) or query(self, "writer", sql, ...)
end

function Database:one(sql, ...)
  return self:query(sql, ...)[1]
end

function Database:value(sql, ...)
  local result = self:query(sql, ...)
  local row = result[1]
  return row and row[result.columns[1]]
end

function Database:exec(sql, ...)
  local conn, lease = self:lease("writer")
  local _ <close> = lease
  local affected, last_id = conn:exec(self.timeout, sql, ...)
  check_closed_transaction("db.exec", conn, lease)
  return affected, last_id
end

function Database:rows(sql, ...)
  self.kind_of(sql)
  return stream(self, sql, ...)
end

function Database:transaction(fn, ...)
  if type(fn) ~= "function" then fault.misuse("transaction: a function expected, got %s", type(fn)) end
  return transaction(self, fn, ...)
end

-- The columns of a table, in order: { name =, key = its place in the primary key, or 0 }.
function Database:columns(name)
  return self:query("SELECT name, pk AS key FROM pragma_table_info($1)", name)
end

function Database:close()
  self.readers:close()
  self.writer:close()
  if self.keeper then Pool.close_connection(self.keeper) end
end

Database.__close = Database.close

function Database:__tostring() return "db: " .. self.name end

-- ---- connect ----

local function check_options(given)
  local options = {}
  for name, default in pairs(DEFAULTS) do options[name] = default end
  for name, value in pairs(given or {}) do
    if DEFAULTS[name] == nil then fault.misuse("unknown option '%s'", name) end
    if type(value) ~= "number" then fault.misuse("option '%s': number expected, got %s", name, type(value)) end
    options[name] = value
  end
  return options
end

-- Opens connections to a database in memory that lives as long as one that nobody uses: the one that is used may be closed
-- and opened again like any other.
local function opener_in_memory(db, options)
  local file = ("file:/%p?vfs=memdb"):format(db)
  return function()
    db.keeper = db.keeper or sqlite.open(file, false, options.timeout)
    return sqlite.open(file, false, options.timeout)
  end
end

local function connect_sqlite(path, options)
  path = path:gsub("^//", "") -- sqlite:///var/lib/app.db
  if path == "" then fault.raise("db.connect", "EINVAL", "a file name or :memory: expected after 'sqlite:'") end
  local db = setmetatable({
    name = "sqlite:" .. path,
    single = path == ":memory:",
    bound = setmetatable({}, { __mode = "v" }), -- by task
    timeout = options.timeout,
    max_result = options.max_result,
  }, Database)
  local function pool(size, open) return Pool.new { name = db.name, size = size, wait = options.wait, open = open } end
  if db.single then
    db.writer = pool(1, opener_in_memory(db, options))
    db.readers = db.writer
  else
    db.writer = pool(1, function() return sqlite.open(path, false, options.timeout) end)
    db.readers = pool(options.readers, function() return sqlite.open(path, true, options.timeout) end)
  end
  return db
end

-- Waits for nothing: connections are opened when they are needed.
local function connect(url, options)
  if type(url) ~= "string" then fault.misuse("a database URL expected, sqlite:FILE or sqlite::memory:, got %s", type(url)) end
  options = check_options(options)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if scheme == "sqlite" then return connect_sqlite(rest, options) end
  fault.raise("db.connect", "EPROTONOSUPPORT", "'%s' is no database this build knows: sqlite:FILE or sqlite::memory:", scheme or url)
end

return { connect = connect, blob = sqlite.blob }
