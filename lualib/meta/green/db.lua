---@meta green.db
-- SPDX-License-Identifier: MIT

---Databases.
---SQLite and PostgreSQL: `db.connect` gives a pool that any number of tasks use at once; each statement waits in its own
---task while the others go on. Everything raises error objects: `err.code` is SQLite's own
---("SQLITE_CONSTRAINT_UNIQUE") or PostgreSQL's SQLSTATE ("23505", with `detail`, `hint`, `constraint` and `position`, in characters,
---where the server says them), ETIMEDOUT, ECANCELED, ECLOSED, or ECONNRESET and its like when a server went away; `err.sql` is the statement.
---Raises: SQLITE_CONSTRAINT_UNIQUE and SQLite's others; 23505 and PostgreSQL's others; ETIMEDOUT; ECONNRESET; ECLOSED once the database was closed.
---```lua
---local db <close> = require "green.db".connect "sqlite::memory:"
---db:exec "CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT)"
---db:exec("INSERT INTO orders (pizza) VALUES ($1)", "funghi")
---for row in db:rows "SELECT id, pizza FROM orders" do print(row.id, row.pizza) end --> 1  funghi
---```
---@class green.db
local db = {}

---@class green.db.options
---@field readers? integer  SQLite: connections that read at the same time; 4
---@field size? integer     PostgreSQL: connections; 10 (a task that has one already may get another one beyond that)
---@field min? integer      PostgreSQL: connections that stay open once the first was needed; 0
---@field idle? number      PostgreSQL: seconds after which a connection beyond `min` that nobody used is closed; 600
---@field max_age? number   PostgreSQL: seconds after which a connection is not used any more, up to a tenth less for some; 3600
---@field prepare? boolean  PostgreSQL: statements that are used again are prepared on the server, 128 for each connection; true. false behind a pooler that gives each transaction another session
---@field wait? number      seconds to wait for a free connection; 5
---@field leak_after? number seconds for which a task may keep a connection, in a transaction say, before it is logged: which task, where it took it, where it stands; never
---@field timeout? number   seconds one statement may take; 30
---@field max_result? integer bytes of rows query(), one() and value() may gather; 64 MiB
---@field init_sql? string   for each connection when it is opened: PRAGMA, ATTACH, SET

---A pool of connections, which are opened when they are needed. A file is used in WAL mode, with foreign keys on, by several connections that read and one that writes. A
---database in memory has one connection, used by turns, and lives until db:close().
---
---A file's URL may end in `?mode=ro` (read; nothing is written, the journal stays as it is), `?mode=rw` (no file is made),
---or `?immutable=1` (nobody writes: read without locks; a database on a read-only file system is read so by itself). `?`, `#`
---and `%` in a file's name are written %3f, %23 and %25.
---
---What belongs to a session of SQLite (most of PRAGMA, ATTACH, temporary tables; last_insert_rowid() and changes(), which ask
---for it) runs in a transaction, in db:pin or among the statements of a script, and is gone afterwards; elsewhere it is refused
---(SQLITE_MISUSE), since whoever got the same connection next would find it there, and the other connections would not.
---What all connections are to have is `init_sql`.
---
---SQL reaches the database and nothing beyond: no extensions, no fts3_tokenizer, no limits of the process; a value has at most 256 MiB.
---
---PostgreSQL's URL is libpq's, with its keywords as parameters (`sslmode=verify-full`; `connect_timeout=3`, else 10 s or `timeout`; several
---hosts, `target_session_attrs`); what is not in it comes from the environment (PGHOST, PGPASSWORD and the others) and ~/.pgpass. A pool of
---connections that read and write; one that the server ended is replaced. What is changed in a session (SET, temporary
---tables, LISTEN, advisory locks) lasts within a transaction or db:pin, and is gone when the connection is given back. A statement whose
---task stopped waiting is cancelled on the server. Notices go to the log.
---Does not wait.
---Raises: EPROTONOSUPPORT for a URL that names no database this build knows; EINVAL for one that asks for something else.
---```lua
---local kitchen <close> = require "green.db".connect("sqlite:kitchen.db", {
---  timeout = 5, init_sql = "PRAGMA cache_size = -20000",
---})
---```
---@param url string "sqlite:kitchen.db", "sqlite:///var/lib/kitchen.db?mode=ro", "sqlite::memory:", "postgres://cook@db.example/kitchen?sslmode=verify-full"
---@param options? green.db.options
---@return green.db.Database
function db.connect(url, options) end

---A parameter to be stored as BLOB or bytea; a plain string is stored as TEXT. Both come back as strings.
---Does not wait.
---```lua
---db:exec("UPDATE orders SET photo = $1 WHERE id = 1", require "green.db".blob "\xff\xd8")
---print(#db:value "SELECT photo FROM orders WHERE id = 1") --> 2
---```
---@param bytes string
---@return userdata
function db.blob(bytes) end

---What may be bound: strings, integers (exact), floats, booleans (1 and 0 in SQLite), nil and green.null (NULL), blobs.
---In PostgreSQL a parameter has the type of its place in the statement, which is text where nothing tells (`SELECT $1::int`); a table
---becomes JSON, or, as a list where an array is expected, that (`WHERE id = ANY($1)`); text has no NUL.
---@alias green.db.value string|number|boolean|table|nil|userdata

---An array of rows, as JSON, too: `[]` without any. A row has its columns by name; NULL is an absent key.
---Of PostgreSQL's types, integers, floats and booleans are Lua's, json and jsonb what JSON says, arrays of those and of text lists (with
---green.null), bytea bytes, and all others (numeric, dates, ranges) text.
---@class green.db.result: { [integer]: table<string, any> }
---@field columns string[]  in order
---@field affected integer  rows inserted, updated or deleted
---@field last_id? integer  SQLite: id of the row inserted last, when rows were affected; PostgreSQL has RETURNING

---A pool of connections to one database. `<close>` closes it.
---Everything here waits.
---@class green.db.Database
local Database = {}

---All rows of one statement, whose parameters are $1, $2, ... and always bound.
---Waits.
---Raises: SQLITE_TOOBIG, or with PostgreSQL EMSGSIZE, beyond max_result; SQLITE_MISUSE for what belongs to a session; SQLITE_ERROR and
---SQLite's others; 42601 and PostgreSQL's others; ENOTSUP for COPY (copy_in, copy_out); ETIMEDOUT; ECONNRESET; ECLOSED.
---```lua
---local open = db:query("SELECT * FROM orders WHERE status = $1", "open")
---print(#open, open[1].pizza) --> 2  margherita
---```
---@param sql string
---@param ... green.db.value
---@return green.db.result
function Database:query(sql, ...) end

---The first row, or nil. Those behind it are not read; PostgreSQL sends them all the same: LIMIT 1 spares that.
---Waits.
---```lua
---print(db:one("SELECT pizza FROM orders WHERE id = $1", 2).pizza) --> quattro
---```
---@param sql string
---@param ... green.db.value
---@return table<string, string|number>?
function Database:one(sql, ...) end

---The first column of the first row; nil for no row, and for NULL.
---Waits.
---```lua
---print(db:value "SELECT count(*) FROM orders") --> 2
---```
---@param sql string
---@param ... green.db.value
---@return string|number|nil
function Database:value(sql, ...) end

---For statements without rows. Without parameters it may be a script of several statements; when one fails,
---those before it stay done.
---Waits.
---```lua
---print(db:exec("INSERT INTO orders (pizza) VALUES ($1)", "funghi")) --> 1  3
---local row, err = green.try(db.exec, db, "INSERT INTO orders (pizza) VALUES ('funghi')")
---print(err.code) --> SQLITE_CONSTRAINT_UNIQUE
---```
---@param sql string
---@param ... green.db.value
---@return integer affected
---@return integer? last_id
function Database:exec(sql, ...) end

---Rows, read in batches as the loop asks for them. The loop holds a connection until it ends, breaks or fails. PostgreSQL reads them in a
---transaction of the loop's own, which is committed at the end and rolled back where the loop is left before, or in that of the task.
---Waits in the loop.
---```lua
---for row in db:rows("SELECT * FROM orders WHERE total > $1", 10) do
---  print(row.pizza) --> quattro
---  if row.status == "late" then break end
---end
---```
---@param sql string
---@param ... green.db.value
---@return fun(): table<string, string|number>?
function Database:rows(sql, ...) end

---@class green.db.how
---@field isolation? "read committed"|"repeatable read"|"serializable" at least; SQLite's transactions are all serializable
---@field read_only? boolean    what writes is refused (SQLITE_READONLY, 25006); in SQLite such transactions run beside one that writes, on what was there when they first read
---@field deferrable? boolean   of a serializable one that only reads: it waits until it can neither fail nor disturb; SQLite's never do
---@field retries? integer      how often `fn` may be called again when the transaction failed because of others (SQLITE_BUSY, 40001, 40P01), after a growing pause; 0

---Runs `fn()` in a transaction: committed when it returns, rolled back when it raises or its task is
---cancelled; the error is passed on as it is. Inside, this task's statements (not those of other tasks, its
---children included) belong to the transaction. Nested, it is a savepoint. A statement that was stopped (by a
---deadline) dooms the transaction it is in, or the savepoint: nobody knows how far it came, so all that follows
---raises, until that is rolled back; with what writes, SQLite itself rolls all of it back. In PostgreSQL each statement that fails dooms it: what
---may fail goes into a transaction within, and one that has failed is not committed though `fn` returns (25P02).
---Waits, first come first served.
---Raises: what `fn` raises; as `query`; EINVAL for an option but `retries` of one that is nested. `retries` counts in the outermost.
---```lua
---db:transaction(function()
---  db:exec("UPDATE stock SET n = n - 1 WHERE item = $1", "dough")
---  db:exec("INSERT INTO orders (pizza) VALUES ($1)", "funghi")
---end)
---print(db:value "SELECT n FROM stock") --> 4
---```
---@generic T
---@param fn fun(): T
---@param how? green.db.how
---@return T ... what fn returns
function Database:transaction(fn, how) end

---Calls `fn()` with one connection for all statements of this task (not those of its children), for what belongs to a session: temporary
---tables, PRAGMA, ATTACH, SET, advisory locks, last_insert_rowid(). Transactions inside use it, too. What was changed is put right before somebody else gets the connection.
---In SQLite it is the one that writes.
---Waits for a connection, first come first served.
---Raises: what `fn` raises; ETIMEDOUT when none came free; ECLOSED.
---```lua
---print(db:pin(function()
---  db:exec "CREATE TEMP TABLE picked AS SELECT id FROM orders"
---  return db:value "SELECT count(*) FROM picked"
---end)) --> 2
---```
---@generic T
---@param fn fun(): T
---@return T ... what fn returns
function Database:pin(fn) end

---Calls `fn()` once this task's transaction is committed and has given its connection back; at once, if it has none. Not called when the transaction, or the
---savepoint in which this was said, is rolled back. What it raises is logged, since the transaction stays committed.
---Does not wait, but for what `fn` waits for when it is called at once.
---```lua
---db:transaction(function()
---  db:exec("INSERT INTO orders (pizza) VALUES ($1)", "diavola")
---  db:after_commit(function() print "tell the kitchen" end) --> tell the kitchen
---end)
---```
---@param fn fun()
function Database:after_commit(fn) end

---Rows out of PostgreSQL by its COPY, many times as quick as a query: an iterator of strings, a line with its end for each row (`FORMAT binary`:
---pieces). The server waits while the loop does. A loop that is left early stops the statement, and dooms the transaction or the savepoint that it is in. Within a
---transaction or db:pin no other statement runs until the loop has ended (EBUSY).
---Waits in the loop, for `timeout` at most each time.
---Raises: ENOTSUP for SQLite; EINVAL for what is no `COPY ... TO STDOUT`; EBUSY; as `query`.
---```lua
---pg:exec "CREATE TABLE menu (id int, pizza text); INSERT INTO menu VALUES (1, 'funghi')"
---for line in pg:copy_out "COPY menu TO STDOUT (FORMAT csv)" do
---  print((line:gsub("\n", ""))) --> 1,funghi
---end
---```
---@param sql string COPY ... TO STDOUT
---@return fun(): string?
function Database:copy_out(sql) end

---Rows into PostgreSQL by its COPY. A list of values becomes a line of COPY's text format (the default), with green.null for NULL; strings are sent
---as they are, in whatever format the statement names, and need not end where a line does. All of the rows are kept, or none; that one is wrong is said at the end. Within a transaction or db:pin
---no other statement runs meanwhile (EBUSY).
---Waits, as `source` does, and for `timeout` at most each time that it sends.
---Raises: ENOTSUP for SQLite; EINVAL for what is no `COPY ... FROM STDIN`, and for a value that is no string, number, boolean or green.null; EBUSY;
---what `source` raises; as `query`.
---```lua
---pg:exec "CREATE TABLE dishes (id int, name text)"
---print(pg:copy_in("COPY dishes FROM STDIN", { { 1, "funghi" }, { 2, green.null } })) --> 2
---```
---@param sql string COPY ... FROM STDIN
---@param source string|(string|table)[]|fun(): string|table|nil rows, or text of any number of rows
---@return integer rows
function Database:copy_in(sql, source) end

---Notifications of PostgreSQL (LISTEN, NOTIFY) as an iterator: `channel` and `payload` of each. They come over a connection beside the pool, which
---all listeners of the database share. It is there before this returns, so that nothing that is notified from then on is missed; a
---little from just before may come, too. When the connection is lost another one is made, as long as that takes, and each listener gets an item
---`{ reconnected = true }` instead: what was notified meanwhile is lost, and whoever needs it looks for himself. Not behind a pooler that gives each
---transaction another session.
---Waits until the server listens, for `timeout` at most; the loop waits for each notification.
---Raises: ENOTSUP for SQLite; EINVAL for the name of a channel that is not text of 1 to 63 bytes; ETIMEDOUT; ECONNREFUSED and what else connecting raises; ECLOSED.
---```lua
---local ready <close> = pg:listen "ready"
---pg:notify("ready", "7")
---for item in ready do
---  if not item.reconnected then print(item.channel, item.payload) end --> ready  7
---  break
---end
---```
---@param channel string exactly as it is written: SQL's `NOTIFY Ready` means "ready"
---@param ... string|green.db.listen_options further channels, and options
---@return green.db.listener
function Database:listen(channel, ...) end

---@class green.db.listen_options
---@field max_messages? integer notifications that may wait to be received (1024); further ones push the oldest out

---Sends a notification to all who listen to the channel; within a transaction when that is committed.
---Waits.
---Raises: ENOTSUP for SQLite; EINVAL for the name of a channel; EMSGSIZE for 8,000 bytes and more; as `query`.
---```lua
---pg:transaction(function()
---  pg:notify("ready", "8")
---end)
---```
---@param channel string
---@param payload? string text of less than 8,000 bytes; ""
function Database:notify(channel, payload) end

---What there is, and what there was, in each pool: of connections that read, and of the one that writes (the same table where one pool does both).
---Does not wait.
---```lua
---print(db:stats().writer.max, db:stats().writer.lent) --> 1  0
---```
---@return { readers: green.pool.stats, writer: green.pool.stats, listening?: { connected: boolean, connects: integer, listeners: integer } } listening: of PostgreSQL, for db:listen
function Database:stats() end

---The same database with other limits: the same connections and transactions, and more (or less) time and memory for the
---statements of whoever uses it. Closing it closes the database.
---Does not wait.
---```lua
---local patient = db:with { timeout = 600 }
---print(patient:value "SELECT count(*) FROM orders") --> 2
---```
---@param limits { timeout?: number, max_result?: integer } seconds for a statement; bytes of rows
---@return green.db.Database
function Database:with(limits) end

---The columns of a table, in order; `key` is the place in the primary key, or 0. Empty: no such table.
---Waits.
---```lua
---for _, column in ipairs(db:columns "stock") do io.write(column.name, " ", column.key, "\n") end
---```
---@param name string
---@return { name: string, key: integer }[]
function Database:columns(name) end

---Closes it: who waits for a connection is woken with ECLOSED; connections in use close as they come back.
---Waits.
---```lua
---db:close()
---```
function Database:close() end

---Who listens to notifications. `<close>` ends it.
---```lua
---local ready <close> = pg:listen "ready"
---print(ready.lost, ready.reconnects) --> 0  0
---```
---@class green.db.listener
---@field lost integer notifications that were dropped because too many waited
---@field reconnects integer how often the connection was lost and made anew
---@operator call: green.db.notification?
local Listener = {}

---@class green.db.notification
---@field channel? string
---@field payload? string
---@field reconnected? true the connection was lost, and is there again: it has no channel and no payload

---The next notification; nil once the listener, or the database, is closed. Several tasks may receive from one: each notification goes to one of them.
---Waits.
---Raises: ETIMEDOUT.
---```lua
---local ready <close> = pg:listen "ready"
---pg:notify "ready"
---print(ready:receive(5).channel) --> ready
---```
---@param timeout? number seconds; without it as long as it takes
---@return green.db.notification?
function Listener:receive(timeout) end

---Ends the listener, and every loop over it.
---Does not wait.
---```lua
---local ready = pg:listen "ready"
---ready:close()
---print(ready:receive()) --> nil
---```
function Listener:close() end

---@private
---@return table?
function Database:bound_lease() end

---@private
---@param lease table
function Database:bind(lease) end

---@private
---@param lease table
function Database:unbind(lease) end

---@private
---@param kind "readers"|"writer"
function Database:lease(kind) end

return db
