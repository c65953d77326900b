-- SPDX-License-Identifier: MIT
-- Those who wait for the same thing stood in singly linked lists, and who was cancelled or out of time was looked for from
-- the front: 40,960 receivers of a channel, cancelled in random order, took 37 s of CPU, last first 90 s. The same held for
-- semaphores, mutexes, joins, the end of processes and the jobs of files and databases. To leave a queue costs the same
-- however many stand in it: so much is compared here, with eight times as many, for each way to stand in one.
local build = require "build"
local process = require "green.process"
local task = require "green.task"

local FEW, MANY = 500, 4000
local COLLECTED = 30 -- where each wait collects all garbage, thousands of tasks take minutes: only that they can leave is tested

local orders = {
  ["first first"] = function(n, i) return i end,
  ["last first"] = function(n, i) return n + 1 - i end,
  ["in random order"] = function(n, i) return (i * 7919) % n + 1 end, -- a prime: each once
}

-- Each makes a function that waits.
local places = {
  ["receivers of a channel"] = function()
    local channel = task.channel()
    return function() channel:receive() end
  end,
  ["senders to a channel"] = function()
    local channel = task.channel()
    return function() channel:send(1) end
  end,
  ["waiters for a semaphore"] = function()
    local semaphore = task.semaphore(1)
    semaphore:acquire()
    return function() semaphore:acquire(1000) end
  end,
  ["waiters for a mutex"] = function()
    local mutex = task.mutex()
    mutex:lock()
    return function() mutex:lock() end
  end,
  ["who joins a task"] = function()
    local slow = task.spawn(task.sleep, 1000)
    return function() slow:join() end, function() slow:cancel() end
  end,
  ["who waits for a process"] = function()
    local child = process.spawn { "sleep", "1000" }
    return function() child:wait() end, function() child:kill() end
  end,
}

-- Seconds of CPU for one of n to be cancelled. What its task does about it is not counted.
local function cost(place, order, n)
  local wait, finish = place()
  local tasks = {}
  for i = 1, n do tasks[i] = task.spawn(wait) end
  while tasks[n]:status() ~= "waiting" do task.sleep(0) end -- the last one that was spawned begins last
  local before = os.clock()
  for i = 1, n do tasks[order(n, i)]:cancel() end
  local spent = os.clock() - before
  for i = 1, n do assert.equal("cancelled", tasks[i]:wait()) end
  if finish then finish() end
  return spent / n
end

-- The cheapest of several times: other programs run here, too.
local function compare(place, order)
  local few, many = math.huge, math.huge
  for _ = 1, 6 do
    few, many = math.min(few, cost(place, order, FEW)), math.min(many, cost(place, order, MANY))
    if many < few * 2 then break end
  end
  return few, many
end

describe("to be cancelled costs the same among many", function()
  for name, place in pairs(places) do
    for way, order in pairs(orders) do
      it(name .. ", " .. way, function()
        if build.stressed then return cost(place, order, COLLECTED) end
        local few, many = compare(place, order)
        assert.is_true(many < few * 5, ("%.0f ns among %d, %.0f among %d"):format(few * 1e9, FEW, many * 1e9, MANY))
      end)
    end
  end
end)

describe("who waits for the same thing", function()
  it("is served in order, whoever has left", function()
    local channel, served, tasks = task.channel(), {}, {}
    for i = 1, 50 do
      tasks[i] = task.spawn(function()
        local value = channel:receive()
        served[#served + 1] = { i, value }
      end)
    end
    while tasks[50]:status() ~= "waiting" do task.sleep(0) end
    for _, i in ipairs { 1, 2, 50, 49, 25, 26, 3, 48 } do tasks[i]:cancel() end
    for i = 1, 42 do channel:send(i) end
    for _, t in ipairs(tasks) do t:wait() end
    local want = {}
    for i = 4, 47 do
      if i ~= 25 and i ~= 26 then want[#want + 1] = { i, #want + 1 } end
    end
    assert.same(want, served)
    assert.is_false(channel:try_send "nobody is left")
  end)
end)
