---@meta green.model
-- SPDX-License-Identifier: MIT

---Classes over tables. An instance is a plain table of its columns: set fields, save() it, return it as JSON.
---Columns are learned from the database at first use; a field that is no column raises EINVAL. A column with
---the name of a method below is best renamed: the field hides the method.
---
---    local Order = require "green.model"(db, "orders")
---    function Order:as_table() return { id = self.id, pizza = self.pizza } end
---
---    local order = Order:new { pizza = "funghi" }:save()
---    order.pizza = "napoli"
---    order:save()
---    for late in Order:each("due < $1", os.time()) do print(late.id) end
---@class green.Model
---@field [string] any
local Model = {}

---A new instance, not yet in the database. Waits the first time (for the columns).
---@param fields? table<string, green.db.value>
---@return self
function Model:new(fields) end

---The instance with this key, or nil. Waits.
---@param key string|integer
---@return self?
function Model:find(key) end

---Instances that fulfil a condition: a table of columns (green.null: IS NULL), in the order of their keys, or
---SQL that may go on with ORDER BY and LIMIT. Waits.
---
---    Order:where { status = "open" }
---    Order:where("total > $1 ORDER BY total DESC LIMIT 10", 100)
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return self[]
function Model:where(condition, ...) end

---All of them, in the order of their keys. Waits.
---@return self[]
function Model:all() end

---Like where(), streamed. Waits in the loop.
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return fun(): self?
function Model:each(condition, ...) end

---How many. Waits.
---@param condition? table<string, green.db.value>|string
---@param ... green.db.value
---@return integer
function Model:count(condition, ...) end

---INSERT for an instance from new(); for one that was loaded or saved, UPDATE of the columns that changed (ENOENT
---when its row is gone). Afterwards it has what the database has, its id and defaults included. Waits.
---@return self
function Model:save() end

---Waits.
---@return boolean deleted false: the row was gone already
function Model:delete() end

---Read the row again; ENOENT when it is gone. Waits.
---@return self
function Model:reload() end

---@param db green.db.Database
---@param name string the table
---@param options? { key?: string } the column rows are found by; "id"
---@return green.Model
return function(db, name, options) end
