-- SPDX-License-Identifier: MIT
-- Every failure, and every task that was cancelled, wrote a traceback that searched the whole of package.loaded for each of its
-- frames: a failing request cost 130 us with one module loaded and 8.7 ms with 1,024, a cancelled task up to 286 us. And an
-- error with the same text as the last one was taken for it, so that what both had left behind grew together, to 16 KB.
local build = require "build"
local shell = require "shell"

local script = [[
local task = require "green.task"
local function cost(n, fn)
  local best = math.huge
  for _ = 1, 4 do
    collectgarbage()
    local before = os.clock()
    for _ = 1, n do fn() end
    best = math.min(best, (os.clock() - before) / n)
  end
  return best
end
local channel = task.channel()
local function failing() local t = task.spawn(function() error "oops" end) pcall(t.join, t) end
local function cancelled()
  local t = task.spawn(channel.receive, channel)
  task.sleep(0)
  t:cancel()
  t:wait()
end
local function measure() return { cost(300, failing), cost(300, cancelled) } end
local few = measure()
for i = 1, 4000 do package.loaded["module" .. i] = { a = function() end, b = function() end, c = {} } end
pcall(require, "a module that is not there") -- what has come may be looked at anew
local many = measure()
for i, name in ipairs { "failing", "cancelled" } do
  print(name, many[i] < 4 * few[i] or ("%.1f us, then %.1f"):format(few[i] * 1e6, many[i] * 1e6))
end
]]

describe("a failure among thousands of modules", function()
  it("costs what it does among few", function()
    if build.stressed then return end -- each wait collects all the modules
    assert.equal("failing\ttrue\ncancelled\ttrue\n", (shell("$lua x.lua", { ["x.lua"] = script })))
  end)

  it("still names the functions of modules, also of those that came later", function()
    local files = {
      ["later.lua"] = "local M = {} function M.fails(f) f() end return M",
      ["x.lua"] = [[
local task = require "green.task"
pcall(function() task.spawn(string.rep):join() end)
local later = require "later"
local t = task.spawn(function() later.fails(function() string.rep() end) end)
t:join()]],
    }
    local _, err = shell("$lua x.lua", files)
    assert.matches("%[C%]: in function 'string.rep'", err)
    assert.matches("later.lua:1: in function 'later.fails'", err)
  end)
end)

describe("a task that was cancelled", function()
  it("still tells those who wait for it where it was", function()
    local _, err = shell("$lua x.lua", { ["x.lua"] = [[
local task = require "green.task"
local function waits() task.sleep(1000) end
local t = task.spawn(function() waits() end)
task.spawn(function() task.sleep(0) t:cancel() end)
t:join()]] })
    assert.matches("x.lua:2: in upvalue 'waits'", err)
    assert.matches("joined by", err)
  end)

  it("is logged with its traceback when it fails otherwise", function()
    local _, err = shell("$lua x.lua", { ["x.lua"] = [[
local task = require "green.task"
local t = task.spawn(function()
  pcall(task.sleep, 1000)
  error "in its clean-up"
end)
task.sleep(0)
t:cancel()
task.sleep(0)
t:join()]] })
    assert.matches("in its clean.up", err)
    assert.matches("x.lua:4: in function <x.lua:2>", err)
  end)
end)
