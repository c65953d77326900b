-- SPDX-License-Identifier: MIT
-- What specs ask of calls: that they fail, and how; that they wait.
local task = require "green.task"

local M = {}

-- What fn(...) raises.
function M.failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "an error was expected")
  return err
end

-- The task, once it waits; or has ended, on a machine that let it go on until somebody looked.
function M.waiting(one)
  while one:status() == "ready" or one:status() == "running" do task.sleep(0) end
  return one
end

return M
