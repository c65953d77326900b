---@meta green.model
-- SPDX-License-Identifier: MIT

---Classes over tables. An instance is a plain table of its columns: set fields, save() it, return it as JSON.
---Columns are learned from the database at first use. A column with the name of a method below is best renamed: the field
---hides the method.
---Does not wait.
---```lua
---local Order = require "green.model"(db, "orders")
---function Order:as_table() return { id = self.id, pizza = self.pizza } end
---
---local order = Order:new { pizza = "funghi" }:save()
---order.pizza = "napoli"
---order:save()
---print(order:as_table().pizza, Order:count()) --> napoli  1
---```
---@class green.model

---@class green.model.options
---@field key? string the column rows are found by; "id"
---@field timestamps? boolean columns `created_at` and `updated_at` say when a row was made and changed by a function of the model (UTC, as 2026-01-31T12:00:00Z); false
---@field version? string a column of integers that counts the changes of a row: save() refuses to overwrite what somebody else changed (ESTALE)

---What `require "green.model"` makes: the class of a table's rows. Methods of your own go into it.
---Everything here waits.
---Raises: ENOENT for no such table; EINVAL for a field that is no column; as green.db's statements.
---@class green.Model
---@field [string] any
local Model = {}

---A new instance, not yet in the database.
---Waits the first time, for the columns.
---```lua
---local order = Order:new { pizza = "funghi" }
---print(order.id, order.pizza) --> nil  funghi
---```
---@param fields? table<string, green.db.value>
---@return self
function Model:new(fields) end

---The instance with this key, or nil.
---```lua
---print(Order:find(1).pizza, Order:find(99)) --> margherita  nil
---```
---@param key string|integer
---@return self?
function Model:find(key) end

---A new instance, in the database.
---Raises: as `new` and `save`.
---```lua
---print(Order:create { pizza = "funghi" }.id) --> 3
---```
---@param fields? table<string, green.db.value>
---@return self
function Model:create(fields) end

---Inserts rows, all of them or none, many in a statement.
---Raises: EINVAL for a field that is no column; as green.db's statements.
---```lua
---print(Order:insert_all { { pizza = "funghi" }, { pizza = "diavola", total = 9 } }) --> 2
---print(Order:count()) --> 4
---```
---@param list table<string, green.db.value>[]
---@return integer inserted
function Model:insert_all(list) end

---Inserts a row, or changes the one that is there with the same `on` (columns that are unique; the key): the columns `update`, or all that are
---given but `on`. One statement, so that nobody comes between.
---Raises: EINVAL for what is no column; as green.db's statements.
---```lua
---local order = Order:upsert { id = 1, pizza = "napoli" }
---print(order.pizza, order.total, Order:count()) --> napoli  8  2
---```
---@param fields table<string, green.db.value>
---@param how? { on?: string|string[], update?: string[] }
---@return self
function Model:upsert(fields, how) end

---What rows are to fulfil: columns with a value, a list of values (one of them), null (there is none), or a table of operators
---(`=`, `~=`, `<`, `<=`, `>`, `>=`, `like`) and what each compares with; or SQL, with $1, $2, ... for what follows it.
---@alias green.model.condition table<string, green.db.value|table>|string

---The rows that fulfil a condition, as a query: nothing is asked before a function that ends it.
---Waits the first time, for the columns.
---Raises: EINVAL for what is no column; an error for what is no condition.
---```lua
---print(#Order:where({ status = "open" }):all()) --> 2
---print(Order:where("total > $1", 8):order("total DESC"):first().pizza) --> quattro
---print(Order:where({ status = { "open", "late" }, total = { [">"] = 8 } }):count()) --> 1
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return green.model.Query
function Model:where(condition, ...) end

---All of them, ordered, as a query.
---```lua
---print(Order:order("total DESC"):first().pizza) --> quattro
---```
---@param ... string columns, "total" or "total DESC"
---@return green.model.Query
function Model:order(...) end

---The first `n` of them, as a query.
---```lua
---print(#Order:limit(1):all()) --> 1
---```
---@param n integer
---@return green.model.Query
function Model:limit(n) end

---All but the first `n`, as a query.
---```lua
---print(#Order:offset(1):all()) --> 1
---```
---@param n integer
---@return green.model.Query
function Model:offset(n) end

---All of them, in the order of their keys.
---```lua
---print(#Order:all()) --> 2
---```
---@return self[]
function Model:all() end

---The values of a column of all rows, or of several columns: as `query:pluck`.
---```lua
---print(table.concat(Order:pluck "pizza", " ")) --> margherita quattro
---```
---@param name string
---@param ... string
---@return green.db.value[]|table<string, green.db.value>[]
function Model:pluck(name, ...) end

---Those that fulfil a condition, in the order of their keys, read in batches as the loop asks for them.
---Waits in the loop.
---```lua
---for order in Order:each("total > $1", 8) do print(order.pizza) end --> quattro
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return fun(): self?
function Model:each(condition, ...) end

---The first that fulfils a condition, in the order of their keys, or nil.
---```lua
---print(Order:first({ pizza = "quattro" }).total) --> 11.5
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return self?
function Model:first(condition, ...) end

---How many fulfil a condition.
---```lua
---print(Order:count(), Order:count { pizza = "quattro" }) --> 2  1
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return integer
function Model:count(condition, ...) end

---Is there one that fulfils a condition?
---```lua
---print(Order:exists { pizza = "quattro" }, Order:exists { pizza = "hawaii" }) --> true  false
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return boolean
function Model:exists(condition, ...) end

---Preloads relations, as a query: as `query:with`.
---```lua
---db:exec "CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER, text TEXT)"
---local Note = require "green.model"(db, "notes")
---Order:has_many("notes", Note, { key = "order_id" })
---Note:create { order_id = 2, text = "hot" }
---for _, order in ipairs(Order:with("notes"):all()) do print(order.id, order:notes():count()) end
-----> 1  0
-----> 2  1
---```
---@param ... string names of relations
---@return green.model.Query
function Model:with(...) end

---Each row has one of another model: instances get a method of this name, which returns it, or nil.
---Does not wait; the method does.
---Raises: an error when the model has something of this name.
---```lua
---db:exec "CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER, text TEXT)"
---local Note = require "green.model"(db, "notes")
---Note:belongs_to("order", Order)
---print(Note:create({ order_id = 2, text = "hot" }):order().pizza) --> quattro
---```
---@param name string
---@param other green.Model
---@param how? { key?: string } our column with the key of theirs; the name and "_id"
function Model:belongs_to(name, other, how) end

---Each row has some of another model: instances get a method of this name, which returns them as a query. They have the key of ours in the column
---`key`; or a third model, `through`, has it there, beside theirs in the column `other_key`.
---Does not wait; what ends the query does.
---Raises: an error when the model has something of this name.
---```lua
---db:exec "CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER, text TEXT)"
---local Note = require "green.model"(db, "notes")
---Order:has_many("notes", Note, { key = "order_id" })
---Note:insert_all { { order_id = 2, text = "hot" }, { order_id = 2, text = "soon" } }
---print(Order:find(2):notes():count()) --> 2
---print(Order:find(2):notes():order("id DESC"):first().text) --> soon
---```
---@param name string
---@param other green.Model
---@param how { key: string, through?: green.Model, other_key?: string }
function Model:has_many(name, other, how) end

---INSERT for an instance from `new`; for one that was loaded or saved, UPDATE of the columns that changed. Afterwards it has
---what the database has, its id and defaults included.
---Raises: ENOENT when its row is gone; ESTALE when the model has a version and the row was changed since it was read; EINVAL for a field that is
---no column; as green.db's statements.
---```lua
---local order = Order:new { pizza = "funghi" }:save()
---print(order.id, order.status) --> 3  open
---```
---@return self
function Model:save() end

---Adds `by` to a column, in the database: what others add meanwhile is not lost. Afterwards the instance has what the database has.
---Raises: ENOENT when its row is gone; EINVAL for what is no column.
---```lua
---print(Order:find(1):increment("total", 2).total) --> 10
---```
---@param name string
---@param by? number 1
---@return self
function Model:increment(name, by) end

---Deletes its row.
---```lua
---local order = Order:find(1)
---print(order:delete(), order:delete()) --> true  false
---```
---@return boolean deleted false: the row was gone already
function Model:delete() end

---Reads the row again.
---Raises: ENOENT when it is gone; as green.db's statements.
---```lua
---local order = Order:find(1)
---db:exec "UPDATE orders SET status = 'late' WHERE id = 1"
---print(order.status, order:reload().status) --> open  late
---```
---@return self
function Model:reload() end

---Rows of a model: which, in which order, how many. Each step returns another query and leaves its own as it is; nothing is asked before
---a function that ends it. A query is no list, and an error says so where one was meant.
---@class green.model.Query
local Query = {}

---Those that fulfil this condition, too.
---Waits the first time, for the columns.
---```lua
---print(Order:where({ status = "open" }):where("total > $1", 8):count()) --> 1
---```
---@param condition? green.model.condition
---@param ... green.db.value
---@return green.model.Query
function Query:where(condition, ...) end

---Ordered by columns instead of by the key.
---Waits the first time, for the columns.
---Raises: an error for what is not a column with ASC or DESC: what a user asks for may be passed on.
---```lua
---print(Order:where({ status = "open" }):order("total DESC", "id"):pluck("pizza")[1]) --> quattro
---```
---@param ... string "total", "total DESC"
---@return green.model.Query
function Query:order(...) end

---The first `n`.
---Does not wait.
---```lua
---print(#Order:where({}):limit(1):all()) --> 1
---```
---@param n integer
---@return green.model.Query
function Query:limit(n) end

---All but the first `n`.
---Does not wait.
---```lua
---print(#Order:where({}):offset(1):all()) --> 1
---```
---@param n integer
---@return green.model.Query
function Query:offset(n) end

---Preloads relations: `all` and `first` ask for the rows of each relation for all instances at once, and its method needs no query then, until
---the instance is reloaded.
---Does not wait.
---Raises: an error for what is no relation.
---```lua
---db:exec "CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER, text TEXT)"
---local Note = require "green.model"(db, "notes")
---Note:belongs_to("order", Order)
---Note:create { order_id = 2, text = "hot" }
---for _, note in ipairs(Note:where({}):with("order"):all()) do
---  print(note.text, note:order().pizza) --> hot  quattro
---end
---```
---@param ... string names of relations
---@return green.model.Query
function Query:with(...) end

---@private
---@param rows table[]
---@return green.model.Query
function Query:known(rows) end

---A list of instances.
---Waits.
---```lua
---print(Order:where({ status = "open" }):all()[1].pizza) --> margherita
---```
---@return table[]
function Query:all() end

---Instances, read in batches as the loop asks for them.
---Waits in the loop.
---```lua
---for order in Order:where("total > $1", 8):each() do print(order.pizza) end --> quattro
---```
---@return fun(): table?
function Query:each() end

---The first instance, or nil.
---Waits.
---```lua
---print(Order:where({ status = "open" }):order("total"):first().pizza) --> margherita
---```
---@return table?
function Query:first() end

---How many there are, with limit and offset.
---Waits.
---```lua
---print(Order:where({ status = "open" }):offset(1):count()) --> 1
---```
---@return integer
function Query:count() end

---Is there any?
---Waits.
---```lua
---print(Order:where("total > $1", 100):exists()) --> false
---```
---@return boolean
function Query:exists() end

---The values of a column (green.null for NULL); or of several columns, as tables.
---Waits.
---```lua
---print(Order:where({ status = "open" }):pluck("pizza", "total")[2].total) --> 11.5
---```
---@param name string
---@param ... string
---@return green.db.value[]|table<string, green.db.value>[]
function Query:pluck(name, ...) end

---Sets columns of all rows in one statement: those that are given, neither timestamps nor versions.
---Waits.
---```lua
---print(Order:where({ status = "open" }):update { status = "late" }) --> 2
---```
---@param fields table<string, green.db.value>
---@return integer affected
function Query:update(fields) end

---Adds `by` to a column of all rows in one statement.
---Waits.
---```lua
---print(Order:where({ status = "open" }):increment("total", 1), Order:find(2).total) --> 2  12.5
---```
---@param name string
---@param by? number 1
---@return integer affected
function Query:increment(name, by) end

---Deletes all rows in one statement.
---Waits.
---```lua
---print(Order:where({ status = "open" }):limit(1):delete(), Order:count()) --> 1  1
---```
---@return integer affected
function Query:delete() end

---@param db green.db.Database
---@param name string the table
---@param options? green.model.options
---@return green.Model
return function(db, name, options) end
