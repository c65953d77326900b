-- SPDX-License-Identifier: MIT
-- Internal.
-- The stack of a task that waits, or waits for its turn, as text: the frames of its coroutines with their variables.
local capture = require "green.dev.capture"
local native = require "green.debug"
local task = require "green.task"

local M = {}

-- Returns the coroutine that the innermost frame of `co` has resumed, nil when it is none of coroutine.resume or coroutine.wrap.
local function resumed_by(co)
  local frame = debug.getinfo(co, 0, "Sf")
  if not frame or frame.what ~= "C" then return end
  local _, inner
  if frame.func == coroutine.resume then _, inner = debug.getlocal(co, 0, 1)
  else _, inner = debug.getupvalue(frame.func, 1) end
  return type(inner) == "thread" and inner or nil
end

-- Returns the stacks of the task, that of its innermost coroutine first.
local function stacks_of(base)
  local stacks, co = {}, base
  while co do
    table.insert(stacks, 1, capture.frames(co))
    co = resumed_by(co)
  end
  return stacks
end

local function add_frame(lines, frame)
  if frame.skipped then
    lines[#lines + 1] = ("  ... (%d levels)"):format(frame.skipped)
    return
  end
  lines[#lines + 1] = ("  %s in %s"):format(frame.where, frame.place)
  for _, variable in ipairs(frame.locals) do lines[#lines + 1] = ("      %s = %s"):format(variable.name, variable.value) end
  if frame.tail then lines[#lines + 1] = "  (...tail calls...)" end
end

--- Returns the stack of the task with this number as text, nil when there is no such task.
function M.text(id)
  local stacks = task.atomic(function() -- the task must not go on while its frames are read
    local co = native.coroutine(id)
    return co and stacks_of(co)
  end)
  if not stacks then return nil end
  local lines = {}
  for i, frames in ipairs(stacks) do
    if i > 1 then lines[#lines + 1] = "  (...coroutine resumed by...)" end
    for _, frame in ipairs(frames) do add_frame(lines, frame) end
  end
  return table.concat(lines, "\n")
end

return M
