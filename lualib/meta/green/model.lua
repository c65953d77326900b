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

---Instances that fulfil a condition: a table of columns (green.null: IS NULL), in the order of their keys, or SQL that may
---go on with ORDER BY and LIMIT.
---```lua
---print(#Order:where { status = "open" }) --> 2
---print(Order:where("total > $1 ORDER BY total DESC LIMIT 10", 8)[1].pizza) --> quattro
---```
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return self[]
function Model:where(condition, ...) end

---All of them, in the order of their keys.
---```lua
---print(#Order:all()) --> 2
---```
---@return self[]
function Model:all() end

---Like `where`, streamed.
---Waits in the loop.
---```lua
---for order in Order:each("total > $1", 8) do print(order.pizza) end --> quattro
---```
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return fun(): self?
function Model:each(condition, ...) end

---How many fulfil a condition.
---```lua
---print(Order:count(), Order:count { pizza = "quattro" }) --> 2  1
---```
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return integer
function Model:count(condition, ...) end

---INSERT for an instance from `new`; for one that was loaded or saved, UPDATE of the columns that changed. Afterwards it has
---what the database has, its id and defaults included.
---Raises: ENOENT when its row is gone; EINVAL for a field that is no column; as green.db's statements.
---```lua
---local order = Order:new { pizza = "funghi" }:save()
---print(order.id, order.status) --> 3  open
---```
---@return self
function Model:save() end

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

---@param db green.db.Database
---@param name string the table
---@param options? { key?: string } the column rows are found by; "id"
---@return green.Model
return function(db, name, options) end
