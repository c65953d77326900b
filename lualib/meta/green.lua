---@meta green
-- SPDX-License-Identifier: MIT

---@class green
---@field null lightuserdata NULL in databases, null in JSON: `green.null == cjson.null`
local green = {}

---Look at an error instead of letting it pass: the results of `fn(...)`, or nil and the error.
---
---    local row, err = green.try(db.one, db, "SELECT * FROM orders WHERE id = $1", id)
---@param fn function
---@param ... any
---@return any ...
function green.try(fn, ...) end

return green
