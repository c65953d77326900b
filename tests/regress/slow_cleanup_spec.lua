-- SPDX-License-Identifier: MIT
-- The story: a cancelled task is raised at when it goes on to use up a slice of CPU, for it may have caught the error. The
-- task may also be closing its <close> variables: on a machine so slow that this took a slice, a server was not closed, nor
-- the connections it had. Now a task that is told to end has ten slices for it.
local task = require "green.task"

describe("the <close> variable of a task that is to end", function()
  local finished

  local function slow()
    return setmetatable({}, { __close = function()
      local began = os.clock()
      repeat until os.clock() - began > 0.05 -- five slices
      finished = true
    end })
  end

  before_each(function() finished = false end)

  it("is closed completely after a wait", function()
    local t = task.spawn(function()
      local _ <close> = slow()
      task.sleep(60)
    end)
    while t:status() == "ready" do task.sleep(0) end
    t:cancel()
    assert.is_false((pcall(t.join, t)))
    assert.is_true(finished)
  end)

  it("is closed completely in a pcall, and in a coroutine", function()
    local t = task.spawn(function()
      pcall(coroutine.wrap(function()
        local _ <close> = slow()
        task.deadline(0.01, task.sleep, 60)
      end))
      return finished
    end)
    assert.is_true(t:join())
  end)

  it("is closed completely where no wait told it, again and again", function()
    for _ = 1, 5 do
      finished = false
      local ok = pcall(task.deadline, 0.02, function()
        local _ <close> = slow()
        while true do end
      end)
      assert.is_false(ok)
      assert.is_true(finished)
    end
  end)

  it("does not win a hog its CPU limit back", function()
    local t = task.spawn(function()
      task.cpu_limit(0.02)
      while true do pcall(task.deadline, 5, function() while true do end end) end
    end)
    local ok, err = pcall(t.join, t)
    assert.same({ false, "ECPULIMIT" }, { ok, err.code })
  end)
end)
