---@meta green.migrations
-- SPDX-License-Identifier: MIT

---Migrations change a database step by step: a folder of files, each applied once, in the order of the versions that their names
---begin with, whoever starts at the same time. On the command line it is `greenlua migrate app.lua`, for the database that the app
---has (app:database).
---
---`001_create_orders.sql` holds SQL, with the markers of dbmate; without any, all of it is `up`:
---
---    -- migrate:up
---    CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT);
---    -- migrate:down
---    DROP TABLE orders;
---
---`002_fill.lua` returns `{ up = function(db) end, down = function(db) end }`.
---
---Each runs in a transaction, together with the row that remembers it in the table `green_migrations`: it is done and known, or
---neither. What no transaction can hold (VACUUM, CREATE INDEX CONCURRENTLY) says so: `-- migrate:up transaction:false`, or
---`transaction = false` in the table. When one of these fails halfway, nothing more is applied until a person has put the database
---right and says what is so (`mark`). A file that was edited after it was applied is refused: the text that ran is remembered.
---Raises: EINVAL for a file that cannot be understood, one that was edited, one that failed halfway; EEXIST for two of one version;
---ENOENT without the folder; ETIMEDOUT; what a statement raises, with the file and the line of it.
---```lua
---local migrations = require "green.migrations"
---fs.mkdir("migrations", { parents = true })
---fs.write("migrations/001_stars.sql", "CREATE TABLE stars (id INTEGER PRIMARY KEY)")
---print(table.concat(migrations.up(db, "migrations"))) --> 001_stars
---```
---@class green.migrations
local migrations = {}

---Applies what is not applied yet, each migration as soon as the one before it is done.
---Waits; while another process applies one outside of a transaction, for at most `wait`.
---Raises: what the module says.
---```lua
---fs.mkdir("migrations", { parents = true })
---fs.write("migrations/001_stars.sql", "CREATE TABLE stars (id INTEGER PRIMARY KEY)")
---print(#require "green.migrations".up(db, "migrations")) --> 1
---```
---@param db green.db.Database
---@param dir string
---@param options? { wait?: number, timeout?: number } seconds for others to be done (60), and for one statement (3600)
---@return string[] names of those that were applied, in order
function migrations.up(db, dir, options) end

---Undoes the newest, or the `n` newest, by their `down`.
---Waits, as `up` does.
---Raises: what the module says; EINVAL for one without a `down`.
---```lua
---fs.mkdir("steps", { parents = true })
---fs.write("steps/001_stars.lua", "return { up = function(db) end, down = function(db) end }")
---require "green.migrations".up(db, "steps")
---print(require "green.migrations".down(db, "steps")[1]) --> 001_stars
---```
---@param db green.db.Database
---@param dir string
---@param n? integer 1
---@param options? { wait?: number, timeout?: number }
---@return string[] names of those that were undone, in order
function migrations.down(db, dir, n, options) end

---@alias green.migrations.state
---| "applied"
---| "pending"
---| "edited"   the file is not what was applied
---| "missing"  it is applied, and its file is gone
---| "running"  outside of a transaction, by some process
---| "failed"   halfway, outside of a transaction

---What is known of each, in the order of their versions; `applied_at` is UTC, "2026-11-30 09:00:00".
---Waits.
---```lua
---fs.mkdir("migrations", { parents = true })
---fs.write("migrations/001_stars.sql", "CREATE TABLE stars (id INTEGER PRIMARY KEY)")
---print(require "green.migrations".status(db, "migrations")[1].state) --> pending
---```
---@param db green.db.Database
---@param dir string
---@return { version: string, name: string, state: green.migrations.state, applied_at?: string }[]
function migrations.status(db, dir) end

---Writes down what a person knows: that a migration is applied, as its file says now, or that it is not. Nothing else changes.
---Waits.
---Raises: ENOENT for a version that has no file.
---```lua
---fs.mkdir("migrations", { parents = true })
---fs.write("migrations/001_stars.sql", "CREATE TABLE stars (id INTEGER PRIMARY KEY)")
---require "green.migrations".mark(db, "migrations", 1, "applied")
---print(#require "green.migrations".up(db, "migrations")) --> 0
---```
---@param db green.db.Database
---@param dir string
---@param version string|integer
---@param state "applied"|"pending"
function migrations.mark(db, dir, version, state) end

---Makes an empty migration, of SQL unless the name ends in ".lua", with the time as its version; the folder as well, if need be.
---Waits.
---Raises: EINVAL for other characters than letters, digits, `_` and `-`.
---```lua
---print(require "green.migrations".new("fresh", "add_stars"):match "_.*") --> _add_stars.sql
---```
---@param dir string
---@param name string
---@return string path
function migrations.new(dir, name) end

return migrations
