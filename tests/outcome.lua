-- SPDX-License-Identifier: MIT
-- What specs ask of calls: that they fail, and how; that they wait; and what comes of them in the end.
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

local PATIENCE = 60 -- seconds, which nothing takes on the slowest machine, and less than the runner's limit for a test

-- Waits until the condition holds, and returns what it says; other tasks run meanwhile.
function M.eventually(condition, what)
  local late = task.now() + PATIENCE
  repeat
    local holds = condition()
    if holds then return holds end
    task.sleep(0.001)
  until task.now() > late
  error("never happened: " .. (what or "what was waited for"), 2)
end

return M
