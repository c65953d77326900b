-- SPDX-License-Identifier: MIT
-- The path of the interpreter under test: $GREENLUA, else the one that runs this.
local path = os.getenv "GREENLUA"
if not path then
  local first = 0
  while arg[first - 1] do first = first - 1 end
  path = arg[first]
end

return path:match "^/" and path or os.getenv "PWD" .. "/" .. path
