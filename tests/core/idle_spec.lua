-- SPDX-License-Identifier: MIT
-- What only waits uses no CPU: neither the loop's thread nor the watchdog's wakes up, also after busy tasks, which the watchdog looked
-- at every few milliseconds. Wake-ups are counted by the kernel: an awake watchdog has 200 a second, however slow the machine is.
local fs, process, task = require "green.fs", require "green.process", require "green.task"
local interpreter = require "interpreter"

-- Wake-ups of all threads of a process so far.
local function wakeups(pid)
  local n = 0
  for _, thread in ipairs(fs.list(("/proc/%d/task"):format(pid))) do
    n = n + tonumber(fs.read(("/proc/%d/task/%s/status"):format(pid, thread.name)):match "\nvoluntary_ctxt_switches:%s*(%d+)")
  end
  return n
end

-- Runs a program that says when it has begun to wait, and returns the least number of wake-ups in one of the seconds after that: it may
-- put its memory in order first.
local function least_wakeups(program)
  local child <close> = process.spawn({ interpreter, "-e", program }, { stdin = "pipe", stdout = "pipe" })
  assert.equal("waits", child.stdout:read("l", 60))
  local least = math.huge
  for _ = 1, 30 do
    local before = wakeups(child.pid)
    task.sleep(1)
    least = math.min(least, wakeups(child.pid) - before)
    if least <= 5 then break end
  end
  child.stdin:close()
  return least
end

local prelude = [[
  local task, net = require "green.task", require "green.net"
  local function hog()
    local slices = require("green.debug").preempted()
    while require("green.debug").preempted() < slices + 20 do end
  end
  local hogs = {}
  for i = 1, 3 do hogs[i] = task.spawn(hog) end
  for _, t in ipairs(hogs) do t:join() end
]]

describe("after busy tasks, the process", function()
  it("sleeps while it serves nobody", function()
    assert.is_true(least_wakeups(prelude .. [[
      local listener = net.listen "127.0.0.1:0"
      task.spawn(function() while true do listener:accept() end end)
      io.write "waits\n" io.flush()
      io.read() os.exit(0)
    ]]) <= 5)
  end)

  it("sleeps while its tasks sleep", function()
    assert.is_true(least_wakeups(prelude .. [[
      for i = 1, 1000 do task.spawn(task.sleep, 3600 + i) end
      io.write "waits\n" io.flush()
      io.read() os.exit(0)
    ]]) <= 5)
  end)
end)
