-- SPDX-License-Identifier: MIT
-- Internal.
-- Makes an alarm that calls fn(pool), and does not keep the pool (green.pool.lending) alive.
local alarm = require "green.alarm.native"

return function(pool, fn)
  local weak = setmetatable({ pool }, { __mode = "v" })
  return alarm.new(function()
    local alive = weak[1]
    if alive then fn(alive) end
  end)
end
