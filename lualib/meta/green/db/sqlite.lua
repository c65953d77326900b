---@meta green.db.sqlite
-- SPDX-License-Identifier: MIT

---SQLite connections, one job at a time each, on the thread pool. Scripts use green.db, which makes pools of them.
---```lua
---local c = require "green.db.sqlite".open ":memory:"
---print(c:query(5, nil, "SELECT $1 + 1 AS n", 41)[1].n) --> 42
---c:close()
---```
---@class green.db.sqlite
local sqlite = {}

---@class green.db.sqlite.options
---@field reads? boolean     it answers `false` to a statement that writes
---@field mode? "rwc"|"rw"|"ro" a missing file is made (rwc, unless said otherwise), or is an error; or nothing is written
---@field immutable? boolean nobody writes: it is read without locks
---@field init_sql? string   SQL for the session, run when it is opened (again)
---@field uri? boolean       the path is a URL of SQLite's own

---Opens a file or ":memory:".
---Waits.
---Raises: SQLITE_CANTOPEN and SQLite's others; ETIMEDOUT.
---@param path string
---@param options? green.db.sqlite.options
---@param timeout? number seconds; 30
---@return green.db.sqlite.Connection
function sqlite.open(path, options, timeout) end

---A parameter to be stored as BLOB.
---Does not wait.
---```lua
---local blob = require "green.db.sqlite".blob "\xff\xd8"
---print(connection:query(5, nil, "SELECT typeof($1) AS t", blob)[1].t) --> blob
---```
---@param bytes string
---@return userdata
function sqlite.blob(bytes) end

---A connection. A statement that finds the database locked is tried again for 5 s, then raises SQLITE_BUSY. After a timeout or
---a cancel the statement is stopped, and the next job begins when it has ended.
---Everything here waits.
---Raises: SQLITE_BUSY, SQLITE_CONSTRAINT_UNIQUE and SQLite's others; ETIMEDOUT; ECLOSED.
---```lua
---connection:exec(5, "CREATE TABLE t (n INTEGER)")
---connection:begin()
---connection:exec(5, "INSERT INTO t VALUES ($1)", 1)
---connection:rollback()
---connection:begin()
---connection:exec(5, "INSERT INTO t VALUES ($1)", 2)
---connection:exec(5, "SAVEPOINT a; INSERT INTO t VALUES (3)")
---connection:rollback_to "a"
---connection:commit()
---local cursor = connection:cursor "SELECT n FROM t"
---print(cursor:fetch()[1].n) --> 2
---cursor:close()
---print(connection:first(5, nil, "SELECT n FROM t")[1].n, connection:in_transaction()) --> 2  false
---connection:pin(true)
---connection:exec(5, "CREATE TEMP TABLE mine (n)")
---connection:pin(false)
---connection:reset()
---print(connection:clean(), connection:busy()) --> true  false
---```
---@class green.db.sqlite.Connection
local Connection = {}

---One statement and all its rows. `false`: it writes, and the connection is for reading.
---Waits.
---@param timeout? number seconds; 30
---@param max_bytes? integer of rows; 64 MiB; SQLITE_TOOBIG beyond
---@param sql string
---@param ... green.db.value
---@return green.db.result|false
function Connection:query(timeout, max_bytes, sql, ...) end

---The same, but only the first row is read, unless the statement writes.
---Waits.
---@param timeout? number seconds; 30
---@param max_bytes? integer of rows; 64 MiB; SQLITE_TOOBIG beyond
---@param sql string
---@param ... green.db.value
---@return green.db.result|false
function Connection:first(timeout, max_bytes, sql, ...) end

---One statement, or without parameters a script of several.
---Waits.
---@param timeout? number seconds; 30
---@param sql string
---@param ... green.db.value
---@return integer affected
---@return integer? last_id
function Connection:exec(timeout, sql, ...) end

---A cursor over the rows of a statement.
---Does not wait.
---@param sql string
---@param ... green.db.value
---@return green.db.sqlite.Cursor
function Connection:cursor(sql, ...) end

---BEGIN IMMEDIATE; or BEGIN, and what writes is refused (SQLITE_READONLY), for a transaction that only `reads`. Until commit or rollback nothing runs outside of the transaction: once SQLite has ended it,
---for an error, each statement raises SQLITE_ABORT.
---Waits.
---@param timeout? number seconds; 30
---@param reads? boolean
function Connection:begin(timeout, reads) end

---COMMIT.
---Waits.
---@param timeout? number seconds; 30
function Connection:commit(timeout) end

---ROLLBACK; well too when there is nothing to roll back.
---Waits.
---@param timeout? number seconds; 30
function Connection:rollback(timeout) end

---ROLLBACK TO and RELEASE of the innermost savepoint.
---Waits.
---@param name string
---@param timeout? number seconds; 30
function Connection:rollback_to(name, timeout) end

---Rolls back, ends every cursor, and opens it anew when its session was changed (but for a database in memory, which would be
---gone): as good as new.
---Waits.
---@param timeout? number seconds; 30
function Connection:reset(timeout) end

---Says whether one user has the connection for a while: statements may change its session then. What they changed stays until `reset`.
---Does not wait.
---@param on boolean
function Connection:pin(on) end

---Has a statement left a transaction open? False while one runs.
---Does not wait.
---@return boolean
function Connection:in_transaction() end

---Is it fit for somebody else: nothing running, no cursor, no transaction, no change of the session?
---Does not wait.
---@return boolean
function Connection:clean() end

---Does a job run or wait, be it one that was given up?
---Does not wait.
---@return boolean
function Connection:busy() end

---Closes it. Later jobs raise ECLOSED.
---Waits for what still runs.
---@param timeout? number seconds; 30
function Connection:close(timeout) end

---The rows of one statement.
---@class green.db.sqlite.Cursor
local Cursor = {}

---The next rows: at most 100 or 256 KB. nil: there are no more. false: the statement writes, and the connection
---is for reading.
---Waits.
---Raises: as the connection; an error when another task waits for rows.
---```lua
---local cursor = connection:cursor "SELECT 1 AS n"
---print(cursor:fetch()[1].n, (cursor:fetch())) --> 1  nil
---```
---@param timeout? number seconds; 30
---@return table<string, string|number>[]|false|nil
function Cursor:fetch(timeout) end

---Ends it; the statement is put back before the connection's next job.
---Does not wait.
---```lua
---connection:cursor("SELECT 1"):close()
---```
function Cursor:close() end

return sqlite
