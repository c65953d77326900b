-- SPDX-License-Identifier: MIT
-- Internal.
-- SQLite as a database of green.db (green.db.database says what a driver is). A file is used by a few connections that read and one
-- that writes: SQLite has one writer at a time, and waiting in our queue is first come first served. A database in memory is one
-- connection, used by turns.
local fault = require "green.error"
local Pool = require "green.pool.lending"
local sqlite = require "green.db.sqlite"

local M = {
  name = "sqlite",
  defaults = { readers = 4 },
  left_open = "SQLITE_MISUSE", -- the code of the error about a statement that left a transaction open
}

local READS = { SELECT = true, WITH = true, VALUES = true, EXPLAIN = true, PRAGMA = true }

-- Guesses by its first word whether a statement reads. A reading connection refuses (false) one that writes after all, which then
-- runs on the writing connection.
function M.kind_of(sql)
  return READS[sql:match("^%s*(%a*)"):upper()] and "readers" or "writer"
end

-- A statement that writes would keep all other writers waiting between its batches.
function M.streams(sql) return M.kind_of(sql) == "readers" end

function M.columns(db, name) return db:query("SELECT name, pk AS key FROM pragma_table_info($1)", name) end

-- All transactions of SQLite are serializable, whatever less is asked for, and none needs to be deferred for that.
function M.begin(conn, timeout, how) conn:begin(timeout, how.read_only) end

-- Another program had the lock, or wrote between a transaction's first look and its first write.
function M.may_retry(code) return code:find "^SQLITE_BUSY" ~= nil or code:find "^SQLITE_LOCKED" ~= nil end

-- ---- where the database is ----

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

-- ---- its connections ----

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

-- Sets the name and the pools of `db`, which is of the URL `sqlite:` .. rest. Opens nothing.
function M.connect(db, rest, settings)
  local path, place = check_place(rest, settings)
  db.name, db.single = "sqlite:" .. path, path == ":memory:"
  local function pool(size, open)
    return Pool.new { op = "db", name = db.name, size = size, wait = settings.wait, leak_after = settings.leak_after, open = open, beyond = true }
  end
  if db.single then
    db.writer = pool(1, opener_in_memory(db, settings, place))
    db.readers = db.writer
    return
  end
  local reading = { reads = true, mode = place.mode, immutable = place.immutable, init_sql = place.init_sql }
  db.writer = pool(1, function() return sqlite.open(path, place, settings.timeout) end)
  db.readers = pool(settings.readers, function() return sqlite.open(path, reading, settings.timeout) end)
end

-- Closes what is not in the pools.
function M.close(db)
  if db.keeper then Pool.close_connection(db.keeper) end
end

return M
