-- SPDX-License-Identifier: MIT
-- What a peak of n tasks costs when it is over: their garbage is collected, and the memory given back.
local debug = require "green.debug"
local task = require "green.task"

return {
  {
    name = "memory returned after a peak of n tasks",
    start = 2000,
    prepare = function(n)
      return function()
        local channel, tasks = task.channel(), {}
        for i = 1, n do tasks[i] = task.spawn(channel.receive, channel) end
        task.sleep(0)
        local used = debug.memory().used
        for i = 1, n do tasks[i]:cancel() end
        for i = 1, n do tasks[i]:wait() end
        if used < 64 << 20 then return end -- not worth it
        repeat task.sleep(0.2) until debug.memory().held < used / 4
      end
    end,
  },
}
