-- SPDX-License-Identifier: MIT
-- Error objects from Lua: the same kind that the C half raises, { code=, message=, op= }.
local meta = debug.getregistry()["green.error"]

local M = {}

-- Raises; `fields` may add to the object. The message is "op: message".
function M.raise(op, code, message, fields)
  local e = { code = code, message = op .. ": " .. message, op = op }
  for k, v in pairs(fields or {}) do e[k] = v end
  error(setmetatable(e, meta))
end

-- Raises what the server answers with this HTTP status. The message goes to the client as it is.
function M.status(status, op, code, message)
  error(setmetatable({ code = code, message = message, op = op, status = status }, meta))
end

-- Raises a plain message at the first caller outside the module that checks.
function M.misuse(message)
  local level, inside = 3, debug.getinfo(2, "S").source
  local caller = debug.getinfo(level, "S")
  while caller and caller.source == inside do
    level = level + 1
    caller = debug.getinfo(level, "S")
  end
  error(message, level)
end

function M.is(e, code)
  return type(e) == "table" and getmetatable(e) == meta and (code == nil or e.code == code)
end

return M
