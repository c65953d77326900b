-- SPDX-License-Identifier: MIT
-- What belongs to no module of its own: the null that databases and JSON share, and the way to look at an
-- error instead of letting it pass.
local function outcome(ok, ...)
  if ok then return ... end
  return nil, (...)
end

return {
  null = require "green.json".null,

  -- green.try(fn, ...): the results of fn, or nil and the error.
  try = function(fn, ...)
    return outcome(pcall(fn, ...))
  end,
}
