---@meta green.json
-- SPDX-License-Identifier: MIT

---JSON. Whole numbers are Lua integers, also large ones; what does not fit is a float.
---Nothing here waits.
---```lua
---local json = require "green.json"
---print(json.encode { id = 9007199254740993 }) --> {"id":9007199254740993}
---print(json.decode('{"n":1}').n) --> 1
---print(json.decode "null" == json.null) --> true
---```
---@class green.json
---@field null lightuserdata what JSON's null is in Lua
local json = {}

---A value as JSON text.
---Raises: EJSON for functions, NaN, cycles, more than 1000 levels, and lists with holes too large.
---@param value any an empty table is an object unless made by `array`
---@return string
function json.encode(value) end

---The value of a JSON text.
---Raises: EJSON with `position`, the byte it failed at.
---```lua
---local ok, err = pcall(json.decode, "[1, 2")
---print(err.code, err.position) --> EJSON  6
---```
---@param text string
---@return any
function json.decode(text) end

---Marks a table as a list, so that it is written as `[]` even when it is empty.
---```lua
---print(json.encode {}, json.encode(json.array())) --> {}  []
---```
---@generic T: table
---@param list? T
---@return T
function json.array(list) end

return json
