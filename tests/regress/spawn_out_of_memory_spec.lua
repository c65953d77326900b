-- SPDX-License-Identifier: MIT
-- Memory ran out between the making of a task's coroutine and its entry in the registry: the task had a coroutine that
-- nothing kept, and that was put aside to be used again.
local debug = require "green.debug"
local task = require "green.task"

local function body(value)
  task.sleep(0)
  return { value }
end

describe("task.spawn without memory", function()
  it("spawns nothing, and the next one is sound", function()
    local kept, refused = {}, 0
    for i = 1, 5000 do -- so many that the registry grows several times
      local one
      pcall(function()
        debug.fail_alloc(i % 8 + 1)
        one = task.spawn(body, i)
      end)
      debug.fail_alloc(0)
      if one then kept[#kept + 1] = { one, i } else refused = refused + 1 end
    end
    collectgarbage()
    assert.is_true(refused > 1000 and #kept > 500)
    for _, each in ipairs(kept) do assert.equal(each[2], each[1]:join()[1]) end
  end)
end)
