-- SPDX-License-Identifier: MIT
-- One of n that wait for the same thing is cancelled, or out of time.
local net = require "green.net"
local task = require "green.task"

local orders = {
  { "first first", function(n, i) return i end },
  { "last first", function(n, i) return n + 1 - i end },
  { "random order", function(n, i) return (i * 7919) % n + 1 end }, -- a prime: each once
}

local places = {
  { "channel: receivers", function()
    local channel = task.channel()
    return function() channel:receive() end
  end },
  { "semaphore: waiters", function()
    local semaphore = task.semaphore(1)
    semaphore:acquire()
    return function() semaphore:acquire(1000) end
  end },
  { "join: waiters", function()
    local slow = task.spawn(task.sleep, 1000)
    return function() slow:join() end, function() slow:cancel() end
  end },
  { "task.single: waiters", function()
    return function() task.single("slow", task.sleep, 1000) end
  end },
}

local rows = {}

for _, place in ipairs(places) do
  for _, order in ipairs(orders) do
    rows[#rows + 1] = {
      name = place[1] .. " cancelled, " .. order[1],
      start = 250, -- few, since the caches of the processor are not what is measured
      prepare = function(n)
        local wait, done = place[2]()
        local tasks = {}
        for i = 1, n do tasks[i] = task.spawn(wait) end
        task.sleep(0)
        return function()
          for i = 1, n do tasks[order[2](n, i)]:cancel() end
          for i = 1, n do tasks[i]:wait() end
        end, done
      end,
    }
  end
end

rows[#rows + 1] = {
  name = "lookups of n domains, cancelled in random order",
  start = 2000,
  prepare = function(n)
    local tasks = {}
    local function resolve(i) net.resolve(("n%d.d%d.invalid"):format(i, i)) end
    return function()
      for i = 1, n do tasks[i] = task.spawn(pcall, resolve, i) end
      task.sleep(0)
      for i = 1, n do tasks[orders[3][2](n, i)]:cancel() end
      for i = 1, n do tasks[i]:wait() end
    end
  end,
}

rows[#rows + 1] = {
  name = "channel: receivers out of time, all at once",
  start = 1000,
  prepare = function(n)
    local channel, tasks = task.channel(), {}
    local function wait() channel:receive(0.01) end
    return function()
      for i = 1, n do tasks[i] = task.spawn(pcall, wait) end
      for i = 1, n do tasks[i]:wait() end
    end
  end,
}

return rows
