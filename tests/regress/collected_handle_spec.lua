-- SPDX-License-Identifier: MIT
-- The story: a table with weak keys held the handles of tasks. A key with a finalizer leaves such a table only one collection
-- after it was finalized, so a loop over the table found a handle that was no more, and asked it to cancel its task: a segfault.
local task = require "green.task"

describe("the handle of a task that was collected", function()
  it("is an error to use", function()
    local handles = setmetatable({}, { __mode = "k" })
    local stop = task.semaphore(1)
    stop:acquire()
    collectgarbage "stop" -- there is to be one collection
    for _ = 1, 10 do handles[task.spawn(function() stop:acquire() stop:release() end)] = true end
    collectgarbage()
    local found = 0
    for handle in pairs(handles) do
      found = found + 1
      for _, name in ipairs { "cancel", "status", "join", "wait" } do
        assert.error_matches(function() handle[name](handle) end, "the handle of the task was collected")
      end
    end
    collectgarbage "restart"
    stop:release()
    assert.is_true(found > 0)
  end)
end)
