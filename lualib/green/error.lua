-- SPDX-License-Identifier: MIT
-- Errors raised from Lua. Error objects are the same kind as those of the C modules (host/core/error.c); misuse is a
-- plain message that points at the line outside of the module.
local place = require "green.place"

local meta = debug.getregistry()["green.error"]

-- Unlike getmetatable it makes no string ("__metatable"), which could raise where memory has run out: in clean-up, of all places.
local metatable_of = debug.getmetatable

local M = {}

local function check(where, op, format)
  if type(op) ~= "string" then M.misuse("%s: op: a string expected, not %s", where, type(op)) end
  if type(format) ~= "string" then M.misuse("%s: format: a string expected, not %s", where, type(format)) end
end

function M.new(op, code, format, ...)
  check("error.new", op, format)
  return setmetatable({ code = code, message = op .. ": " .. format:format(...), op = op }, meta)
end

function M.raise(op, code, format, ...)
  check("error.raise", op, format)
  error(M.new(op, code, format, ...))
end

-- Raises what the server answers by itself, with this HTTP status; the message goes to the client as it is.
function M.status(status, op, code, format, ...)
  check("error.status", op, format)
  if not (math.type(status) == "integer" and status >= 400 and status <= 599) then
    M.misuse("error.status: status: an integer from 400 to 599 expected, not %s", tostring(status))
  end
  error(setmetatable({ code = code, message = format:format(...), op = op, status = status }, meta))
end

-- Is the value an error object (with this code)?
function M.is(value, code)
  return type(value) == "table" and getmetatable(value) == meta and (code == nil or value.code == code)
end

function M.misuse(format, ...)
  if type(format) ~= "string" then M.misuse("error.misuse: format: a string expected, not %s", type(format)) end
  error(format:format(...), place.level(2, debug.getinfo(2, "S").source))
end

-- Makes a check for the methods of a class: were they called with a colon? check(self, "get").
function M.receiver(class, name)
  return function(self, method)
    if metatable_of(self) == class then return end
    M.misuse("use %s:%s(...), not %s.%s(...)", name, method, name, method)
  end
end

return M
