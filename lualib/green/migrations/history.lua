-- SPDX-License-Identifier: MIT
-- Internal.
-- What the database knows of the migrations that were applied to it: a row of each, with the text that was run, so that an edit of it is
-- found out; and one row that whoever changes the history locks until the end of the transaction.
--
--     (no row) --add, within the transaction of the migration------------------------------------> applied --remove--> (no row)
--        '------add, before a migration outside of transactions--> running --set--> applied
--                                                                     '--it failed, set--> failed
--     running: its process died --> stays; a person says by `mark` what is so
local fault = require "green.error"

local M = {}

-- Two processes that begin at once both find no table: the one that comes second finds it now. PostgreSQL would say, in the log, of one
-- that is there that it skips it.
local function create(db, name, columns)
  if #db:columns(name) > 0 then return end
  local ok, err = pcall(db.exec, db, ("CREATE TABLE IF NOT EXISTS %s (%s)"):format(name, columns))
  if not ok and #db:columns(name) == 0 then error(err, 0) end
end

-- Makes the tables if they are missing. Waits.
function M.prepare(db)
  if #db:columns "green_migrations_lock" > 0 then return end
  create(db, "green_migrations", "version TEXT PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, applied_at TEXT NOT NULL")
  create(db, "green_migrations_lock", "id INTEGER PRIMARY KEY, taken INTEGER NOT NULL")
  db:exec "INSERT INTO green_migrations_lock (id, taken) VALUES (1, 0) ON CONFLICT DO NOTHING"
end

-- Returns the rows by version, none if the tables are missing.
function M.rows(db)
  local rows = {}
  if #db:columns "green_migrations" == 0 then return rows end
  for row in db:rows "SELECT version, name, text, state, applied_at FROM green_migrations" do rows[row.version] = row end
  return rows
end

-- Returns the row of a version, or nil.
function M.row(db, version)
  return db:one("SELECT version, name, text, state, applied_at FROM green_migrations WHERE version = $1", version)
end

-- Runs fn(row) in a transaction in which nobody else changes the history; row is that of the version, or nil. The lock is a row that is
-- written, since every database keeps others from writing it until the transaction ends.
function M.locked(db, version, fn)
  return db:transaction(function()
    db:exec "UPDATE green_migrations_lock SET taken = taken + 1 WHERE id = 1"
    return fn(M.row(db, version))
  end)
end

function M.add(db, file, state)
  db:exec("INSERT INTO green_migrations (version, name, text, state, applied_at) VALUES ($1, $2, $3, $4, $5)",
    file.version, file.name, file.text, state, os.date "!%Y-%m-%d %H:%M:%S")
end

function M.set(db, version, state)
  db:exec("UPDATE green_migrations SET state = $2 WHERE version = $1", version, state)
end

function M.remove(db, version)
  db:exec("DELETE FROM green_migrations WHERE version = $1", version)
end

-- ---- what is wrong with a row ----

-- Returns what a person can do about a migration that ended halfway.
function M.advice(row)
  return ("put the database right by hand, then say which it is: mark %s applied, or mark %s pending"):format(row.version, row.version)
end

-- Returns the number of the first line that differs.
local function first_difference(a, b)
  local number, rest = 0, b:gmatch "([^\n]*)\n?"
  for line in a:gmatch "([^\n]*)\n?" do
    number = number + 1
    if rest() ~= line then return number end
  end
  return number + 1
end

-- Raises if nothing may be built on this row: it failed halfway, or its file was edited since. A running one is not judged.
function M.check(row, file)
  if row.state == "failed" then
    fault.raise("migrations", "EINVAL", "%s failed halfway, outside of a transaction: %s", row.name, M.advice(row))
  end
  if file and row.state == "applied" and row.text ~= file.text then
    local text = "%s:%d: edited after it was applied: write a new migration; if the database has what it says now: mark %s applied"
    fault.raise("migrations", "EINVAL", text, file.path, first_difference(row.text, file.text), row.version)
  end
end

return M
