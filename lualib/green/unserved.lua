-- SPDX-License-Identifier: MIT
-- Internal.
-- How many apps have routes, and nobody has asked them anything: the interpreter looks when a script ends that returns none.
local M = { apps = 0 }

function M.add(app)
  if app.was_unserved then return end
  app.was_unserved = "still"
  M.apps = M.apps + 1
end

function M.remove(app)
  if app.was_unserved == "still" then M.apps = M.apps - 1 end
  app.was_unserved = "once"
end

return M
