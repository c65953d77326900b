-- SPDX-License-Identifier: MIT
-- Internal.
-- The modules that scripts may require (`public`, by full name), and those of them that a prompt has at hand as globals
-- (`modules`, by short name). Each is loaded when it is named first.
local native = require "green.reference.native"

local M = { modules = {}, public = {} }

for _, name in ipairs(native.modules()) do
  M.public[name] = true
  local short = name:match "^green%.([%w_]+)$" or name:match "^green$"
  if short then M.modules[short] = true end
end

--- The module, or nil: there is none of that name, or it cannot be loaded here.
function M.module(name)
  local ok, module = pcall(require, name == "green" and name or "green." .. name)
  return ok and module or nil
end

return M
