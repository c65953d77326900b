-- SPDX-License-Identifier: MIT
-- What specs of sockets ask of calls: that they fail, and how; that they wait.
local task = require "green.task"

local M = {}

-- The error object that fn(...) raises.
function M.failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "it did not fail")
  assert(type(err) == "table", tostring(err))
  return err
end

-- A task that waits in fn(...) by now.
function M.waiting(fn, ...)
  local one = task.spawn(fn, ...)
  repeat task.sleep(0) until one:status() == "waiting"
  return one
end

return M
