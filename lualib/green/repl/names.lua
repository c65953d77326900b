-- SPDX-License-Identifier: MIT
-- Internal.
-- This file lists the modules that scripts may require (`public`, by full name), and those that a prompt has at hand as globals (`modules`,
-- by short name). A module is loaded when a line first names it.
local native = require "green.reference.native"

local M = { modules = {}, public = {} }

for _, name in ipairs(native.modules()) do
  M.public[name] = true
  local short = name:match "^green%.([%w_]+)$" or name:match "^green$"
  if short then M.modules[short] = true end
end

--- Returns the module, nil when there is none of that name or it cannot be loaded.
function M.module(name)
  local ok, module = pcall(require, name == "green" and name or "green." .. name)
  return ok and module or nil
end

return M
