---@meta green.json
-- SPDX-License-Identifier: MIT

---JSON, strictly by RFC 8259. Whole numbers are integers where 64 bits hold them, whatever has a point or an exponent is a
---float, and both come back as they were. Large documents make way for other tasks.
---Nothing here waits.
---```lua
---local json = require "green.json"
---print(json.encode { id = 9007199254740993 }) --> {"id":9007199254740993}
---print(json.encode { 1, 1.0, 0.1 }) --> [1,1.0,0.1]
---print(json.decode('{"n":1}').n) --> 1
---print(json.decode "null" == json.null) --> true
---```
---@class green.json
---@field null lightuserdata what JSON's null is in Lua; the same as `green.null` and lua-cjson's
local json = {}

---A value as JSON text. Tables are read raw: no metamethod is called. A table is a list when its keys are 1 to n (a few
---holes become `null`), or when `array` says so; else its keys are strings.
---Raises: EJSON with `path` ("$.rows[3].name") for what JSON cannot say: functions and the like, NaN and infinite numbers,
---names beside list items, keys that are no strings, lists with holes too large, strings that are not UTF-8, more than
---1000 levels, cycles. Also when another task changes a table meanwhile.
---```lua
---local ok, err = pcall(json.encode, { rows = { { price = 1 / 0 } } })
---print(err.path) --> $.rows[1].price
---print(err.message) --> json.encode: $.rows[1].price: an infinite number cannot be JSON
---```
---@param value any an empty table is an object unless made by `array`
---@param opts? { invalid_utf8?: "error"|"replace" } what becomes of strings that are not UTF-8: an error, or U+FFFD for each wrong byte
---@return string
function json.encode(value, opts) end

---The value of a JSON text. Of members with the same name the last one counts; arrays are marked as `array` does, so that
---they are written as such again.
---Raises: EJSON with `position` (the byte it failed at), `line` and `column`, for anything but JSON: also text behind it, a
---byte order mark, control characters in strings, half a surrogate pair, what is not UTF-8, numbers too large for a float,
---more than 1000 levels.
---```lua
---local ok, err = pcall(json.decode, "[1, tru]")
---print(err.code, err.position) --> EJSON  5
---print(err.message) --> json.decode: line 1, column 5: a value expected, found 'tru'
---```
---@param text string
---@return any
function json.decode(text) end

---Marks a table as a list, so that it is written as `[]` even when it is empty.
---A table that has a metatable of its own is marked by `__jsontype = "array"` in that.
---```lua
---print(json.encode {}, json.encode(json.array())) --> {}  []
---```
---@generic T: table
---@param list? T
---@return T
function json.array(list) end

---Is it marked as a list: by `array`, or since it was one in a text?
---```lua
---print(json.is_array(json.decode "[]"), json.is_array(json.decode "{}")) --> true  false
---```
---@param value any
---@return boolean
function json.is_array(value) end

return json
