-- SPDX-License-Identifier: MIT
-- Errors raised from Lua. Error objects are the same kind as those of the C modules (host/core/error.c); misuse is a
-- plain message that points at the line outside of the module.
local meta = debug.getregistry()["green.error"]

local M = {}

function M.new(op, code, format, ...)
  return setmetatable({ code = code, message = op .. ": " .. format:format(...), op = op }, meta)
end

function M.raise(op, code, format, ...)
  error(M.new(op, code, format, ...))
end

-- Raises what the server answers by itself, with this HTTP status; the message goes to the client as it is.
function M.status(status, op, code, format, ...)
  error(setmetatable({ code = code, message = format:format(...), op = op, status = status }, meta))
end

-- Is the value an error object (with this code)?
function M.is(value, code)
  return type(value) == "table" and getmetatable(value) == meta and (code == nil or value.code == code)
end

function M.misuse(format, ...)
  local level = 2
  local inside = debug.getinfo(level, "S").source
  repeat
    level = level + 1
    local frame = debug.getinfo(level, "S")
  until not frame or (frame.source ~= inside and frame.what ~= "C")
  error(format:format(...), level)
end

return M
