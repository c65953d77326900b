-- SPDX-License-Identifier: MIT
-- A script that only slept used a whole core: the timer that stands for the heap was unreferenced, so a
-- loop with nothing else in it was not alive, and uv_run returned at once instead of blocking.
local task = require "green.task"

describe("an idle host", function()
  it("uses no CPU while every task sleeps", function()
    local cpu, wall = os.clock(), task.now()
    task.sleep(0.2)
    assert.is_true(os.clock() - cpu < (task.now() - wall) / 2)
  end)

  it("uses no CPU while tasks wait for one another only", function()
    local first
    first = task.spawn(function()
      task.sleep(0)
      task.spawn(function() pcall(first.join, first, 0.2) end):join()
    end)
    local cpu, wall = os.clock(), task.now()
    first:join()
    assert.is_true(os.clock() - cpu < (task.now() - wall) / 2)
  end)
end)
