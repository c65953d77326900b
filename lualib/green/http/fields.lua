-- SPDX-License-Identifier: MIT
-- Internal.
-- This file checks header fields that a script gives, before they become lines of a head.
local err = require "green.error"

local M = {}

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

--- Is the text a token (RFC 9110, 5.6.2), as the names of fields are?
function M.is_token(text) return text:find(TOKEN) ~= nil end

--- Adds a name and a value to a flat list of both. Raises EINVAL by `op` for what would be no line of a head.
function M.add(list, op, name, value)
  if type(name) ~= "string" or not M.is_token(name) then err.raise(op, "EINVAL", "bad header name '%s'", tostring(name)) end
  value = tostring(value)
  if value:find "[\r\n%z]" then err.raise(op, "EINVAL", "header '%s': a value holds no CR, LF or NUL", name) end
  list[#list + 1], list[#list + 2] = name, value
end

return M
