---@meta green.db.sqlite
-- SPDX-License-Identifier: MIT

---SQLite connections, one job at a time each, every job on the thread pool. What green.db makes pools of: scripts
---use that.
---
---    local c = require "green.db.sqlite".open ":memory:"
---    print(c:query(5, nil, "SELECT $1 + 1 AS n", 41)[1].n)
---    c:close()
---@class green.db.sqlite
local sqlite = {}

---Open a file (made when it is missing) or ":memory:". A connection that `reads` answers `false` to a statement
---that writes. Waits. Raises SQLITE_CANTOPEN, ...
---@param path string
---@param reads? boolean
---@param timeout? number seconds; 30
---@return green.db.sqlite.Connection
function sqlite.open(path, reads, timeout) end

---@param bytes string
---@return userdata
function sqlite.blob(bytes) end

---A statement that finds the database locked is tried again for 5 s, then raises SQLITE_BUSY. After a timeout or
---a cancel the statement is stopped, and the next job begins when it has ended.
---@class green.db.sqlite.Connection
local Connection = {}

---One statement and all its rows. Waits. `false`: it writes, and the connection is for reading.
---@param timeout? number seconds; 30
---@param max_bytes? integer of rows; 64 MiB; SQLITE_TOOBIG beyond
---@param sql string
---@param ... green.db.value
---@return green.db.result|false
function Connection:query(timeout, max_bytes, sql, ...) end

---One statement, or without parameters a script of several. Waits.
---@param timeout? number seconds; 30
---@param sql string
---@param ... green.db.value
---@return integer affected
---@return integer? last_id
function Connection:exec(timeout, sql, ...) end

---A cursor over the rows of a statement. Waits for nothing.
---@param sql string
---@param ... green.db.value
---@return green.db.sqlite.Cursor
function Connection:cursor(sql, ...) end

---BEGIN IMMEDIATE. Until commit or rollback nothing runs outside of the transaction: once SQLite has ended it,
---for an error, each statement raises SQLITE_ABORT. Waits.
---@param timeout? number seconds; 30
function Connection:begin(timeout) end

---Waits.
---@param timeout? number seconds; 30
function Connection:commit(timeout) end

---Well too when there is nothing to roll back. Waits.
---@param timeout? number seconds; 30
function Connection:rollback(timeout) end

---Roll back, and end every cursor: as good as new. Waits.
---@param timeout? number seconds; 30
function Connection:reset(timeout) end

---Is it fit for somebody else: nothing running, no cursor, no transaction?
---@return boolean
function Connection:clean() end

---Waits for what still runs. Later jobs raise ECLOSED.
---@param timeout? number seconds; 30
function Connection:close(timeout) end

---@class green.db.sqlite.Cursor
local Cursor = {}

---The next rows: at most 100 or 256 KB. nil: there are no more. false: the statement writes, and the connection
---is for reading. Waits.
---@param timeout? number seconds; 30
---@return table<string, string|number>[]|false|nil
function Cursor:fetch(timeout) end

---Never waits; the statement is put back before the connection's next job.
function Cursor:close() end

return sqlite
