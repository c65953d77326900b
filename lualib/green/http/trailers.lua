-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes the trailers of a message, the fields behind its body, out of a table of names and values.
local err = require "green.error"
local native = require "green.http.fields.native"

local M = {}

local function add(list, op, name, value)
  if type(name) ~= "string" then err.misuse("%s: trailers: the name of a field must be a string, not a %s", op, type(name)) end
  if not native.may_trail(name) then err.raise(op, "EINVAL", "trailer '%s' belongs into the head", name) end
  if not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then err.raise(op, "EINVAL", "bad trailer name '%s'", name) end
  if type(value) ~= "string" and type(value) ~= "number" then
    err.misuse("%s: trailer '%s': a string or a number expected, not a %s", op, name, type(value))
  end
  value = tostring(value)
  if value:find "[%z\1-\8\10-\31\127]" then err.raise(op, "EINVAL", "trailer '%s': a value holds no CR, LF, NUL or other control character", name) end
  list[#list + 1], list[#list + 2] = name, value
end

--- Returns the flat list of names and values, checked, that the table { name = value or list of values } stands for.
function M.list(op, fields)
  if type(fields) ~= "table" then err.misuse("%s: trailers: a table expected, not a %s", op, type(fields)) end
  local list = {}
  for name, value in pairs(fields) do
    for _, each in ipairs(type(value) == "table" and value or { value }) do add(list, op, name, each) end
  end
  return list
end

--- Returns the value of the header Trailer, which announces the fields of a table; nil for none.
function M.announced(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  return names[1] and table.concat(names, ", ")
end

return M
