-- SPDX-License-Identifier: MIT
-- 100,000 tasks that were cancelled left 110 MB of garbage, of which nothing was collected while it was quiet, and 239 MB held
-- even if it was. After a rest of a second, garbage is collected now and what lies idle goes back to the system.
local build = require "build"
local shell = require "shell"

local script = [[
local debug, task = require "green.debug", require "green.task"
local function resident() return tonumber(io.open "/proc/self/statm":read "a":match "^%d+ (%d+)") * 4096 end
local function peak(n)
  local channel, tasks = task.channel(), {}
  for i = 1, n do tasks[i] = task.spawn(channel.receive, channel) end
  task.sleep(0)
  local used, pages = debug.memory().used, resident()
  for i = 1, n do tasks[i]:cancel() end
  for i = 1, n do tasks[i]:wait() end
  return used, pages
end
for _ = 1, 2 do
  local used, pages = peak(60000)
  task.deadline(100, function()
    repeat task.sleep(0.2) until debug.memory().used < used / 8 and (arg[1] == "sanitized" or
      debug.memory().held < used / 8 and resident() < pages / 3)
  end)
  print "returned"
end
]]

describe("memory after a peak", function()
  it("is returned when it is quiet", function()
    if build.stressed then return end -- 60,000 collections of 60,000 tasks
    local out, err = shell("$lua x.lua " .. (build.sanitized and "sanitized" or ""), { ["x.lua"] = script })
    assert.same({ "returned\nreturned\n", "" }, { out, err })
  end)

  it("is not looked for by who has stopped the collector", function()
    if build.stressed then return end -- which collects all the same
    local out = shell("$lua x.lua", { ["x.lua"] = [[
local task = require "green.task"
local weak = setmetatable({ {} }, { __mode = "v" })
collectgarbage "stop"
for i = 1, 400000 do local _ = { i } end
task.sleep(1.5) -- longer than it takes
print(weak[1] ~= nil)]] })
    assert.equal("true\n", out)
  end)
end)
