-- SPDX-License-Identifier: MIT
-- Coroutines that have yielded within a scope.
local task = require "green.task"

local kinds = {
  { "task.deadline", function(fn) return task.deadline(1000, fn) end },
  { "task.group", function(fn) return task.group(fn) end },
}

local function suspend(enter, n)
  local list = {}
  for i = 1, n do
    list[i] = coroutine.create(function() return enter(coroutine.yield) end)
    coroutine.resume(list[i])
  end
  return list
end

local rows = {}

for _, kind in ipairs(kinds) do
  rows[#rows + 1] = {
    name = "resume beside coroutines suspended in " .. kind[1],
    start = 1000,
    prepare = function(n)
      local list = suspend(kind[2], n)
      local plain = coroutine.wrap(function() while true do coroutine.yield() end end)
      return function() for _ = 1, n do for _ = 1, 10 do plain() end end end, function() return list end
    end,
  }
  rows[#rows + 1] = {
    name = "coroutines suspended in and resumed in " .. kind[1],
    start = 1000,
    prepare = function(n)
      return function()
        for _, co in ipairs(suspend(kind[2], n)) do coroutine.resume(co) end
      end
    end,
  }
end

return rows
