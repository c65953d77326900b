-- SPDX-License-Identifier: MIT
local task = require "green.task"

return {
  {
    name = "task: spawned, all at once, and joined",
    start = 1000,
    prepare = function(n)
      return function()
        local tasks = {}
        for i = 1, n do tasks[i] = task.spawn(task.sleep, 0) end
        for i = 1, n do tasks[i]:join() end
      end
    end,
  },
}
