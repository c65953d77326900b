-- SPDX-License-Identifier: MIT
-- host/sys/alarm.c: what is called later, by a task of its own, and keeps nothing alive until then.
require "helper"
local alarm = require "green.alarm.native"
local shell = require "shell"
local task = require "green.task"

local function eventually(is_so)
  while not is_so() do task.sleep(0.001) end
end

describe("an alarm", function()
  it("calls its function in a task of its own, which may wait, as often as it is set", function()
    local calls, own = 0, nil
    local one = alarm.new(function()
      own = coroutine.running()
      task.sleep(0.001)
      calls = calls + 1
    end)
    for n = 1, 3 do
      one:set(0.001)
      eventually(function() return calls == n end)
    end
    assert.is_true(own ~= coroutine.running())
  end)

  it("goes off once when it is set twice", function()
    local calls, other = 0, 0
    local one = alarm.new(function() calls = calls + 1 end)
    one:set(0.001)
    one:set(0.002)
    local last = alarm.new(function() other = other + 1 end)
    last:set(0.003)
    eventually(function() return other == 1 end)
    assert.equal(1, calls)
  end)

  it("inherits neither the deadline nor the cancel of who has set it", function()
    local done
    local one = alarm.new(function()
      task.sleep(0.005)
      done = true
    end)
    pcall(task.deadline, 0.001, function()
      one:set(0.002)
      task.sleep(10)
    end)
    eventually(function() return done end)
  end)

  it("may be set again while it goes off, also by itself", function()
    local calls, one = 0, nil
    one = alarm.new(function()
      calls = calls + 1
      if calls < 3 then one:set(0) end
      task.sleep(0)
    end)
    one:set(0)
    eventually(function() return calls == 3 end)
  end)

  it("does not go off when it was collected, also on its way", function()
    local calls = 0
    for _ = 1, 50 do
      alarm.new(function() calls = calls + 1 end):set(0)
      task.sleep(0)
      collectgarbage()
    end
    alarm.new(function() calls = calls + 100 end):set(0.001)
    collectgarbage()
    local last
    local one = alarm.new(function() last = true end)
    one:set(0.01)
    eventually(function() return last end)
    assert.is_true(calls <= 50)
  end)

  it("does not keep the program alive, and its failure is told", function()
    local out, err = shell("$lua x.lua", { ["x.lua"] = [[
      local alarm, task = require "green.alarm.native", require "green.task"
      late = alarm.new(print)
      late:set(1e5)
      failing = alarm.new(function() error "oops" end)
      failing:set(0)
      task.sleep(0.05)
      print "done"]] })
    assert.equal("done\n", out)
    assert.matches("oops", err)
  end)

  it("refuses what is no time", function()
    for _, wrong in ipairs { -1, 0 / 0, "x", {} } do assert.is_false((pcall(alarm.new(print).set, alarm.new(print), wrong))) end
    assert.is_false((pcall(alarm.new, 1)))
  end)
end)
