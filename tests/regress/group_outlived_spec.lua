-- SPDX-License-Identifier: MIT
-- task.group returned while children of it lived. Found by random programs, shaken (tests/machines/programs.lua): a child that
-- failed was preempted on its way to cancel the group's body; by then the body had failed by itself and waited for its children
-- in a shield, and it was the shield that was cancelled. And of two children that spawned at the same time one could take the
-- other's place in the group's list, or a new one go with the one that had just been waited for. A shield cannot be
-- cancelled any more, and what children do to the list is done in one piece.
local debug = require "green.debug"
local task = require "green.task"

-- The number of children that lived on after one of so many groups.
local function outlived(groups, body)
  local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
  local left = 0
  for seed = 1, groups do
    local alive = 0
    local function add(n) task.atomic(function() alive = alive + n end) end
    debug.shake(seed)
    pcall(task.group, function(group)
      return body(function(fn)
        add(1) -- whoever is spawned runs, though it may be cancelled by then
        return group:spawn(function()
          local _ <close> = setmetatable({}, { __close = function() add(-1) end })
          return fn()
        end)
      end)
    end)
    left = left + alive
    debug.shake(0)
    task.sleep(0)
  end
  return left
end

local function forever()
  while true do task.sleep(0) end
end

describe("a group", function()
  it("waits for its children when several of them and its body fail at the same time", function()
    assert.equal(0, outlived(400, function(spawn)
      for _ = 1, 3 do spawn(forever) end
      spawn(function() error({}) end)
      spawn(function() error({}) end)
      task.sleep(0)
      error({})
    end))
  end)

  it("waits for the children that its children spawn at the same time", function()
    assert.equal(0, outlived(200, function(spawn)
      for _ = 1, 4 do
        spawn(function()
          for _ = 1, 4 do spawn(function() for _ = 1, 5 do task.sleep(0) end end) end
        end)
      end
    end))
  end)

  it("cancels them all", function()
    assert.equal(0, outlived(200, function(spawn)
      for _ = 1, 3 do
        spawn(function()
          for _ = 1, 3 do spawn(forever) end
        end)
      end
      task.sleep(0)
      error({})
    end))
  end)
end)
