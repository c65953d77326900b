-- SPDX-License-Identifier: MIT
-- The green.* modules that a prompt has at hand as globals. Each is loaded when it is named first.
local M = { modules = {} }

for name in ([[
  app crypto date db debug fs green hub http json log model net process redis reference request response
  router semaphore
  session signal task template test url ws
]]):gmatch "%S+" do M.modules[name] = true end

--- The module, or nil: there is none of that name, or it cannot be loaded here.
function M.module(name)
  local ok, module = pcall(require, name == "green" and name or "green." .. name)
  return ok and module or nil
end

return M
