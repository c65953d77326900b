---@meta green.db
-- SPDX-License-Identifier: MIT

---Databases. `db.connect` gives a pool that any number of tasks use at once; each statement waits in its own
---task while the others go on. Everything raises error objects: `err.code` is SQLite's own
---("SQLITE_CONSTRAINT_UNIQUE"), ETIMEDOUT, ECANCELED or ECLOSED; `err.sql` is the statement.
---
---    local db = require "green.db".connect "sqlite:kitchen.db"
---    db:exec("INSERT INTO orders (pizza) VALUES ($1)", "funghi")
---    for row in db:rows "SELECT id, pizza FROM orders" do print(row.id, row.pizza) end
---@class green.db
local db = {}

---@class green.db.options
---@field readers? integer  connections that read at the same time; 4
---@field wait? number      seconds to wait for a free connection; 5
---@field timeout? number   seconds one statement may take; 30
---@field max_result? integer bytes of rows query(), one() and value() may gather; 64 MiB

---Waits for nothing: connections are opened when they are needed.
---A file is used in WAL mode, with foreign keys on, by several connections that read and one that writes. A
---database in memory has one connection, used by turns, and lives until db:close().
---@param url string "sqlite:kitchen.db", "sqlite:///var/lib/kitchen.db", "sqlite::memory:"
---@param options? green.db.options
---@return green.db.Database
function db.connect(url, options) end

---A parameter to be stored as BLOB; a plain string is stored as TEXT. Both come back as strings.
---@param bytes string
---@return userdata
function db.blob(bytes) end

---What may be bound: strings, integers (exact), floats, booleans (1 and 0), nil and green.null (NULL), blobs.
---@alias green.db.value string|number|boolean|nil|userdata

---An array of rows. A row has its columns by name; NULL is an absent key.
---@class green.db.result: { [integer]: table<string, string|number> }
---@field columns string[]  in order
---@field affected integer  rows inserted, updated or deleted
---@field last_id? integer  id of the row inserted last, when rows were affected

---Close it with `<close>` or by name.
---@class green.db.Database
local Database = {}

---All rows of one statement, whose parameters are $1, $2, ... and always bound. Waits.
---Raises SQLITE_TOOBIG beyond max_result.
---
---    local open = db:query("SELECT * FROM orders WHERE status = $1", "open")
---    print(#open, open[1].id)
---@param sql string
---@param ... green.db.value
---@return green.db.result
function Database:query(sql, ...) end

---The first row, or nil. Waits.
---@param sql string
---@param ... green.db.value
---@return table<string, string|number>?
function Database:one(sql, ...) end

---The first column of the first row; nil for no row, and for NULL. Waits.
---@param sql string
---@param ... green.db.value
---@return string|number|nil
function Database:value(sql, ...) end

---For statements without rows. Without parameters it may be a script of several statements; when one fails,
---those before it stay done. Waits.
---@param sql string
---@param ... green.db.value
---@return integer affected
---@return integer? last_id
function Database:exec(sql, ...) end

---Rows, read in batches as the loop asks for them. The loop holds a connection until it ends, breaks or fails.
---Waits in the loop.
---
---    for row in db:rows("SELECT * FROM orders WHERE total > $1", 100) do
---      if row.status == "late" then break end
---    end
---@param sql string
---@param ... green.db.value
---@return fun(): table<string, string|number>?
function Database:rows(sql, ...) end

---Run `fn(...)` in a transaction: committed when it returns, rolled back when it raises or its task is
---cancelled; the error is passed on as it is. Inside, this task's statements (not those of other tasks, its
---children included) belong to the transaction. Nested, it is a savepoint. Waits, first come first served.
---
---    db:transaction(function()
---      db:exec("UPDATE stock SET n = n - 1 WHERE item = $1", "dough")
---      db:exec("INSERT INTO orders (pizza) VALUES ($1)", "funghi")
---    end)
---@generic T
---@param fn fun(...): T
---@param ... any
---@return T ... what fn returns
function Database:transaction(fn, ...) end

---The columns of a table, in order; `key` is the place in the primary key, or 0. Empty: no such table. Waits.
---@param name string
---@return { name: string, key: integer }[]
function Database:columns(name) end

---Who waits for a connection is woken with ECLOSED; connections in use close as they come back. Waits.
function Database:close() end

return db
