---@meta green
-- SPDX-License-Identifier: MIT

---What belongs to no module of its own: NULL, and a way to look at errors.
---@class green
---@field null lightuserdata NULL in databases, null in JSON: `green.null == cjson.null`
local green = {}

---Looks at an error instead of letting it pass: the results of `fn(...)`, or nil and the error.
---Waits as `fn` does.
---Raises: nothing.
---```lua
---local value, err = green.try(json.decode, "{")
---print(value, err.code) --> nil  EJSON
---```
---@param fn function
---@param ... any its arguments
---@return any ...
function green.try(fn, ...) end

return green
