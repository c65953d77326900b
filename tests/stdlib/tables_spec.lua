-- SPDX-License-Identifier: MIT
-- Functions of `table` hold up nobody (host/stdlib/sort.h, array.h): others run meanwhile, and what would take years ends with its task.
-- Sorting 3e6 numbers held everybody up for 4.1 s.
local is_ended = require "stdlib.ended"
local task = require "green.task"

-- A table of so many elements that no function comes to an end, in C alone: each is what `index` says, or nil.
local function huge(index)
  return setmetatable({}, { __len = function() return 1 << 30 end, __index = index })
end

local endless = {
  ["table.sort"] = function() table.sort(huge(rawlen)) end,
  ["table.concat"] = function() return table.concat(huge(rawlen), "", 1, 1 << 50) end,
  ["table.move up"] = function() table.move({}, 1, 1 << 60, 2, {}) end,
  ["table.move down"] = function() table.move({}, 1, 1 << 60, 2) end,
  ["table.insert"] = function()
    for _ = 1, math.huge do table.insert(huge(), 1, "x") end
  end,
  ["table.remove"] = function()
    for _ = 1, math.huge do table.remove(huge(), 1) end
  end,
}

describe("what takes years", function()
  for name, call in pairs(endless) do
    it("lets others run, and is ended by a cancel: " .. name, function() is_ended(call, 3) end)
  end
end)

describe("table.sort beside other tasks", function()
  local function numbers()
    local list = {}
    for i = 1, 100000 do list[i] = i * 7919 % 100003 end
    return list
  end

  local function check_order(list)
    for i = 2, #list do assert(list[i - 1] < list[i], "not in order") end
  end

  it("sorts what is its own", function()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = task.spawn(function()
        local list = numbers()
        table.sort(list)
        return list
      end)
    end
    for _, t in ipairs(tasks) do check_order(t:join()) end
  end)

  it("survives that others change the table meanwhile", function()
    local list = numbers()
    local t = task.spawn(function() return pcall(table.sort, list, function(a, b)
      if a % 1000 == 0 then task.sleep(0) end
      return a < b
    end) end)
    task.sleep(0)
    for i = 1, #list, 2 do list[i] = nil end
    local ok, message = t:join()
    assert.is_false(ok)
    assert.matches("attempt to .* nil", message)
  end)
end)
