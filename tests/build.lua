-- SPDX-License-Identifier: MIT
-- What the build under test is made for, for specs that weigh memory or CPU: it is looked at, not told.
local fs, task = require "green.fs", require "green.task"

local function collects_at_each_wait()
  local weak = setmetatable({ {} }, { __mode = "v" })
  task.sleep(0)
  return weak[1] == nil
end

return {
  -- A sanitizer keeps what was freed for a while, and makes everything slower.
  sanitized = fs.read "/proc/self/maps":find "lib[at]san" ~= nil,
  -- GREENLUA_GC_STRESS: a wait costs what there is in the heap.
  stressed = collects_at_each_wait(),
}
