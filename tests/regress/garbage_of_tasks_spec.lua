-- SPDX-License-Identifier: MIT
-- The story: the handle of a task had a finalizer, and held its results until that had run. What a finalizer reaches outlives the
-- collection that finds it, and Lua begins the next one when the heap has doubled; where most of the heap was handles and results,
-- the heap and each collection grew with every task there had ever been: 2 million that left 4 KB each took 330 MB, with pauses of
-- 100 ms. Now 3 MB. Channels were the same.
local shell = require "shell"

local function says(script)
  local out, err = shell("$lua main.lua", { ["main.lua"] = script })
  assert.equal("", err)
  return out
end

describe("the garbage", function()
  it("of tasks that were joined does not grow with their number", function()
    assert.equal("true\n", says [[
      local task = require "green.task"
      local function leaves_much()
        local much = {}
        for i = 1, 20 do much[i] = { i } end
        return much
      end
      local most = 0
      for _ = 1, 10000 do
        task.spawn(leaves_much):join()
        most = math.max(most, collectgarbage "count")
      end
      print(most < 2000 or most) -- KB; it was 11000
    ]])
  end)

  it("of channels does not grow with their number", function()
    assert.equal("true\n", says [[
      local task = require "green.task"
      local most = 0
      for _ = 1, 50000 do
        local channel = task.channel(2)
        channel:send(("x"):rep(1000))
        most = math.max(most, collectgarbage "count")
      end
      print(most < 2000 or most) -- KB; it was 4900
    ]])
  end)
end)
