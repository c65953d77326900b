-- SPDX-License-Identifier: MIT
-- Failures and cancels among n modules that are loaded.
local task = require "green.task"

local function load_modules(n)
  for i = 1, n do package.loaded["module" .. i] = { a = function() end, b = function() end } end
end

return {
  {
    name = "a task that fails among n modules",
    start = 250,
    prepare = function(n)
      load_modules(n)
      return function()
        for _ = 1, n do
          local t = task.spawn(function() error "oops" end)
          pcall(t.join, t)
        end
      end
    end,
  },
  {
    name = "a task that is cancelled among n modules",
    start = 250,
    prepare = function(n)
      load_modules(n)
      local channel = task.channel()
      return function()
        for _ = 1, n do
          local t = task.spawn(channel.receive, channel)
          task.sleep(0)
          t:cancel()
          t:wait()
        end
      end
    end,
  },
}
