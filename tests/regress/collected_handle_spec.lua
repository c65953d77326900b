-- SPDX-License-Identifier: MIT
-- The story: a table with weak keys held the handles of tasks. A key with a finalizer leaves such a table only one collection
-- after it was finalized, so a loop over the table found a handle that was no more, and asked it to cancel its task: a segfault.
-- Handles have no finalizer any more, and stay as long as their task does.
local task = require "green.task"

describe("a handle found in a table with weak keys", function()
  it("can be used", function()
    local handles = setmetatable({}, { __mode = "k" })
    local stop = task.semaphore(1)
    stop:acquire()
    collectgarbage "stop" -- there is to be one collection
    for i = 1, 10 do handles[task.spawn(function() stop:acquire() stop:release() return i end)] = true end
    collectgarbage()
    local found, sum, one = {}, 0, nil
    for handle in pairs(handles) do
      found[#found + 1] = handle
      assert.matches("^[rw]", handle:status()) -- ready, or waiting where this task was preempted
      one = handle
    end
    one:cancel()
    assert.equal("cancelled", one:wait())
    stop:release()
    for _, handle in ipairs(found) do
      if handle ~= one then sum = sum + handle:join() end
    end
    collectgarbage "restart"
    assert.is_true(sum >= 45)
    one, found = nil, nil
    collectgarbage()
    assert.is_nil(next(handles), one)
  end)
end)
