-- SPDX-License-Identifier: MIT
-- Runs test(...) and fails if it leaves descriptors open.
local fs = require "green.fs"
local task = require "green.task"

local TURNS = 400 -- what is being closed may take a few turns of the loop

local function count() return #fs.list "/proc/self/fd" end

return function(test)
  return function(...)
    local before, after = count()
    test(...)
    for turn = 1, TURNS do
      after = count()
      if after <= before then return end
      if turn % 10 == 0 then collectgarbage() end
      task.sleep(0.005)
    end
    error(("descriptors left open: %d -> %d"):format(before, after))
  end
end
