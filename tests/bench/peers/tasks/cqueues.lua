-- SPDX-License-Identifier: MIT
-- The same with cqueues under lua5.4: coroutines with a scheduler. It has no wait where Lua cannot yield, and no channels: a
-- pair of condition variables stands in for them, and another for the join.
local auxlib = require "cqueues.auxlib"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"

local N = tonumber(arg[1]) or 300000
local TASKS = 64

local function measure(name, n, fn)
  fn(n // 10)
  local best
  for _ = 1, 3 do
    collectgarbage()
    local before = cqueues.monotime()
    fn(n)
    local each = (cqueues.monotime() - before) / n * 1e9
    best = math.min(best or each, each)
  end
  print(("%s\t%.0f"):format(name, best))
end

local function sleeping(inside)
  return function(n)
    local loop = cqueues.new()
    for _ = 1, TASKS do
      loop:wrap(function() inside(function() for _ = 1, n // TASKS do cqueues.sleep(0) end end) end)
    end
    assert(loop:loop())
  end
end

local function ping_pong(n)
  local loop, there, back, value = cqueues.new(), condition.new(), condition.new(), nil
  loop:wrap(function()
    for i = 1, n do
      while not value do there:wait() end
      value = nil
      back:signal()
    end
  end)
  loop:wrap(function()
    for i = 1, n do
      value = i
      there:signal()
      while value do back:wait() end
    end
  end)
  assert(loop:loop())
end

local function spawn_and_join(n)
  local loop = cqueues.new()
  loop:wrap(function()
    for _ = 1, n do
      local ended, done = condition.new(), false
      loop:wrap(function()
        cqueues.monotime()
        done = true
        ended:signal()
      end)
      while not done do ended:wait() end
    end
  end)
  assert(loop:loop())
end

measure("await and wake, yield", N, sleeping(function(fn) fn() end))
measure("await and wake, one wrap", N, sleeping(function(fn) auxlib.wrap(fn)() end))
measure("spawn and join", N, spawn_and_join)
measure("channel ping-pong", N, ping_pong)
