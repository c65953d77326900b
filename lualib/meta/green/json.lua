---@meta
-- SPDX-License-Identifier: MIT

--- JSON. Whole numbers are Lua integers, also large ones; what does not fit is a float. Nothing here waits.
---
---     local json = require "green.json"
---     print(json.encode { id = 9007199254740993, tags = json.array(), note = json.null })
---     print(json.decode('{"n":1}').n)                     --> 1
---@class green.json
---@field null lightuserdata what JSON's null is in Lua
local json = {}

--- Raises `EJSON`: functions, NaN, cycles, more than 1000 levels, lists with holes too large.
---@param value any an empty table is an object unless made by `array`
---@return string
function json.encode(value) end

--- Raises `EJSON` with `position`, the byte it failed at.
---@param text string
---@return any
function json.decode(text) end

--- Marks a table as a list, so that it is written as `[]` even when it is empty.
---@generic T: table
---@param list? T
---@return T
function json.array(list) end

return json
