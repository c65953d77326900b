-- SPDX-License-Identifier: MIT
-- The audit. After each test, and after what follows it (finally, after_each), everything the host counts
-- is back where it was before; what is left is named and fails the run.
local busted = require "busted"
local debug = require "green.debug"
local task = require "green.task"

local TURNS = 200 -- a handle that is being closed may take a few turns of the loop

local baseline
local current = "?"

local function difference(before, after)
  local left = {}
  for name, count in pairs(after) do
    if count > before[name] then left[#left + 1] = ("%s %d -> %d"):format(name, before[name], count) end
  end
  table.sort(left)
  return #left > 0 and table.concat(left, ", ") or nil
end

-- A full collection takes longer than most tests: only for those that left something to it.
local function audit(before)
  local left
  for turn = 1, TURNS do
    left = difference(before, debug.census())
    if not left then return end
    if turn % 2 == 0 then collectgarbage() end
    task.sleep(0.001)
  end
  error(("%s: left behind after the test: %s"):format(current, left), 0)
end

busted.subscribe({ "test", "start" }, function(element)
  current = element.name
  return nil, true
end)

busted.before_each(function() baseline = debug.census() end)

busted.after_each(function() audit(baseline) end)
