-- SPDX-License-Identifier: MIT
-- Databases: a pool that any number of tasks use at once. For a SQLite file that is a few connections that
-- read and one that writes: SQLite has one writer at a time, and waiting in our queue is first come first
-- served. A database in memory is one connection, used by turns.
local fault = require "green.error"
local native = require "green.task.native"
local options = require "green.options"
local Pool = require "green.pool.lending"
local sqlite = require "green.db.sqlite"
local stream = require "green.db.stream"
local transaction = require "green.db.transaction"

local Database = { __name = "green.db.Database" }
Database.__index = Database

local check = fault.receiver(Database, "db")

local DEFAULTS = {
  readers = 4,              -- connections that read
  wait = 5,                 -- seconds for a free connection
  timeout = 30,             -- seconds for one statement
  max_result = 64 << 20,    -- bytes of rows one query may gather
}

-- ---- which connection ----

local READS = { SELECT = true, WITH = true, VALUES = true, EXPLAIN = true, PRAGMA = true }

-- Guesses by its first word whether a statement reads. A reading connection refuses (false) one that writes after all, which then
-- runs on the writing connection.
function Database.kind_of(sql)
  if type(sql) ~= "string" then fault.misuse("SQL text expected, got %s", type(sql)) end
  return READS[sql:match("^%s*(%a*)"):upper()] and "readers" or "writer"
end

-- Returns the lease that this task's statements go through: its transaction's, or that of its rows loop on the only connection.
function Database:bound_lease()
  local lease = self.bound[native.current()]
  return lease and lease.conn and lease
end

function Database:bind(lease) self.bound[lease.task] = lease end

function Database:unbind(lease)
  if self.bound[lease.task] == lease then self.bound[lease.task] = nil end
end

-- Returns a connection, and what must be closed afterwards (nil: the connection was the task's before).
function Database:lease(kind)
  local bound = self:bound_lease()
  if bound then return bound.conn end
  local lease = self[kind]:take()
  return lease.conn, lease
end

-- ---- statements ----

local function check_closed_transaction(op, conn, lease)
  if not lease or conn:clean() or not conn:in_transaction() then return end
  fault.raise(op, "SQLITE_MISUSE", "the statement left a transaction open, which is rolled back: use db:transaction(fn)")
end

-- method: of the connection, query or first.
local function run(self, method, kind, sql, ...)
  local conn, lease = self:lease(kind)
  local _ <close> = lease
  local result = conn[method](conn, self.timeout, self.max_result, sql, ...)
  check_closed_transaction("db.query", conn, lease)
  return result
end

local function query(self, method, sql, ...)
  return run(self, method, self.kind_of(sql), sql, ...) or run(self, method, "writer", sql, ...)
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
  check_closed_transaction("db.exec", conn, lease)
  return affected, last_id
end

function Database:rows(sql, ...)
  check(self, "rows")
  self.kind_of(sql)
  return stream(self, sql, ...)
end

function Database:transaction(fn, ...)
  check(self, "transaction")
  if type(fn) ~= "function" then fault.misuse("db:transaction: a function expected, got %s", type(fn)) end
  return transaction(self, fn, ...)
end

-- Returns the columns of a table, in order: { name =, key = its place in the primary key, or 0 }.
function Database:columns(name)
  check(self, "columns")
  return self:query("SELECT name, pk AS key FROM pragma_table_info($1)", name)
end

function Database:close()
  check(self, "close")
  self.readers:close()
  self.writer:close()
  if self.keeper then Pool.close_connection(self.keeper) end
end

Database.__close = Database.close

function Database:__tostring() return "db: " .. self.name end

-- ---- connect ----

local KNOWN = { readers = "count", wait = "seconds", timeout = "time", max_result = "count", init_sql = "string" }

local function check_options(given)
  local settings = {}
  for name, default in pairs(DEFAULTS) do settings[name] = default end
  for name, value in pairs(options.check("db.connect", given, KNOWN)) do settings[name] = value end
  return settings
end

-- Reads what follows the file's name in a URL: { mode = "ro" | "rw" | "rwc", immutable = true }.
local function check_parameters(text)
  local place = {}
  for pair in text:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    if name == "mode" and (value == "ro" or value == "rw" or value == "rwc") then place.mode = value
    elseif name == "immutable" and (value == "1" or value == "0") then place.immutable = value == "1"
    else fault.raise("db.connect", "EINVAL", "'%s' in the URL: mode=ro, mode=rw, mode=rwc or immutable=1 expected", pair) end
  end
  return place
end

-- "///var/lib/a%3f.db?mode=ro" -> "/var/lib/a?.db", { mode = "ro" }
local function check_place(rest, settings)
  local path, parameters = rest:gsub("^//", ""):match "^([^?]*)%??(.*)$"
  local place = check_parameters(parameters)
  if path == "" then fault.raise("db.connect", "EINVAL", "a file name or :memory: expected after 'sqlite:'") end
  if path == ":memory:" and next(place) then fault.raise("db.connect", "EINVAL", "a database in memory has no '%s'", parameters) end
  place.init_sql = settings.init_sql
  return path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end), place
end

-- A database in memory lives as long as a connection that nobody uses: the one that is used may be closed and opened again
-- like any other.
local function opener_in_memory(db, settings, place)
  local path = ("file:/%p?vfs=memdb"):format(db)
  local keeper = { uri = true }
  place.uri = true
  return function()
    db.keeper = db.keeper or sqlite.open(path, keeper, settings.timeout)
    return sqlite.open(path, place, settings.timeout)
  end
end

local function connect_sqlite(rest, settings)
  local path, place = check_place(rest, settings)
  local db = setmetatable({
    name = "sqlite:" .. path,
    single = path == ":memory:",
    bound = setmetatable({}, { __mode = "v" }), -- by task
    timeout = settings.timeout,
    max_result = settings.max_result,
  }, Database)
  local function pool(size, open) return Pool.new { op = "db", name = db.name, size = size, wait = settings.wait, open = open, beyond = true } end
  if db.single then
    db.writer = pool(1, opener_in_memory(db, settings, place))
    db.readers = db.writer
    return db
  end
  local reading = { reads = true, mode = place.mode, immutable = place.immutable, init_sql = place.init_sql }
  db.writer = pool(1, function() return sqlite.open(path, place, settings.timeout) end)
  db.readers = pool(settings.readers, function() return sqlite.open(path, reading, settings.timeout) end)
  return db
end

-- Makes a database. Waits for nothing: connections are opened when they are needed.
local function connect(url, given)
  if type(url) ~= "string" then fault.misuse("a database URL expected, sqlite:FILE or sqlite::memory:, got %s", type(url)) end
  local settings = check_options(given)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if scheme == "sqlite" then return connect_sqlite(rest, settings) end
  fault.raise("db.connect", "EPROTONOSUPPORT", "'%s' is no database this build knows: sqlite:FILE or sqlite::memory:", scheme or url)
end

return { connect = connect, blob = sqlite.blob }
