-- SPDX-License-Identifier: MIT
-- What tasks cost, as lines "name<TAB>ns": greenlua's tasks when it runs in greenlua, plain coroutines when it runs in
-- lua5.4 (which have nobody to wait for: the figures are those of resume and yield alone). See tests/bench/tasks.
local N = tonumber(arg[1]) or 300000
local TASKS = 64

local ok, task = pcall(require, "green.task")
local clock = ok and task.now or os.clock

local function measure(name, n, fn)
  fn(n // 10)
  local best
  for _ = 1, 3 do
    collectgarbage()
    local before = clock()
    fn(n)
    local each = (clock() - before) / n * 1e9
    best = math.min(best or each, each)
  end
  print(("%s\t%.0f"):format(name, best))
end

local function green()
  -- Each round is two waits and two wake-ups.
  local function exchange(n, inside)
    local ping, pong = task.channel(), task.channel()
    local other = task.spawn(function()
      inside(function() for i = 1, n do pong:send(ping:receive() + i) end end)
    end)
    inside(function()
      for i = 1, n do
        ping:send(i)
        pong:receive()
      end
    end)
    other:join()
  end
  local function directly(fn) fn() end
  local function wrapped(fn) coroutine.wrap(fn)() end
  local function parked(fn) table.sort({ 1, 2 }, function() if fn then local f = fn fn = nil f() end end) end

  -- Many at once share the turns of the loop, as they do in a server.
  local function sleeping(inside)
    return function(n)
      task.group(function(g)
        for _ = 1, TASKS do
          g:spawn(function() inside(function() for _ = 1, n // TASKS do task.sleep(0) end end) end)
        end
      end)
    end
  end
  measure("await and wake, yield", N, sleeping(directly))
  measure("await and wake, one wrap", N, sleeping(wrapped))
  measure("await and wake, park", N, sleeping(parked))
  measure("spawn and join", N, function(n) for _ = 1, n do task.spawn(directly, clock):join() end end)
  measure("channel ping-pong", N, function(n) exchange(n, directly) end)
end

local function stock()
  local yield, wrap = coroutine.yield, coroutine.wrap
  measure("await and wake, yield", N, function(n)
    local step = wrap(function() for _ = 1, n do yield() end end)
    for _ = 1, n do step() end
  end)
  measure("await and wake, one wrap", N, function(n)
    local step = wrap(function()
      local inner = wrap(function() for _ = 1, n do yield() end end)
      for _ = 1, n do yield(inner()) end
    end)
    for _ = 1, n do step() end
  end)
  measure("spawn and join", N, function(n) for _ = 1, n do wrap(clock)() end end)
  measure("channel ping-pong", N, function(n)
    local pong = wrap(function(v) for i = 1, n do v = yield(v + i) end end)
    for i = 1, n do pong(i) end
  end)
end

(ok and green or stock)()
