-- SPDX-License-Identifier: MIT
-- Which task runs next: short work before long work, long work in turn, background work behind everything else
-- (host/core/runqueue.h). Steps are counted and compared, never timed.
local greendebug = require "green.debug"
local task = require "green.task"

-- Runs fn while tasks compute without end; fn gets their counters, which go up as they do.
local function beside(n, inside, fn)
  local counts, tasks = {}, {}
  for i = 1, n do
    counts[i] = 0
    local function hog()
      while true do
        for _ = 1, 1000 do end
        counts[i] = counts[i] + 1
      end
    end
    tasks[i] = task.spawn(inside, hog)
  end
  local _ <close> = setmetatable({}, { __close = function()
    for _, t in ipairs(tasks) do t:cancel() end
    for _, t in ipairs(tasks) do t:wait() end
  end })
  return fn(counts)
end

local function directly(fn) fn() end
local function parked(fn) table.sort({ 1, 2 }, fn) end

-- Waits until the slowest counter has gone up by n.
local function until_all(counts, n)
  local goal = {}
  for i, count in ipairs(counts) do goal[i] = count + n end
  local function are_there()
    for i, count in ipairs(counts) do if count < goal[i] then return false end end
    return true
  end
  while not are_there() do task.sleep(0.001) end
end

describe("long work", function()
  for name, inside in pairs { directly = directly, ["in a comparator"] = parked } do
    it("is fair among itself, " .. name, function()
      beside(6, inside, function(counts)
        until_all(counts, 200)
        local before = table.move(counts, 1, #counts, 1, {})
        local slices = greendebug.preempted()
        while greendebug.preempted() < slices + 300 do task.sleep(0.001) end
        local least, most = math.huge, 0
        for i, count in ipairs(counts) do
          least, most = math.min(least, count - before[i]), math.max(most, count - before[i])
        end
        assert.is_true(least * 4 > most, least .. " to " .. most) -- half an order of magnitude: the machine may be busy
      end)
    end)
  end

  it("lets many short tasks run for each slice of it", function()
    beside(5, directly, function(counts)
      until_all(counts, 20)
      local slices, steps = greendebug.preempted(), 0
      local others = {}
      for i = 1, 4 do
        others[i] = task.spawn(function()
          while greendebug.preempted() < slices + 50 do
            steps = steps + 1
            task.sleep(0)
          end
        end)
      end
      for _, t in ipairs(others) do t:join() end
      assert.is_true(steps > 4 * 50, steps) -- one each, if each waited for a slice
    end)
  end)

  it("that gives way by itself comes after all that is ready, whatever it is owed", function()
    local function used_up() -- a slice of this task, which is long work from there on
      local slices = greendebug.preempted()
      while greendebug.preempted() == slices do end
    end
    for _ = 1, 20 do
      used_up()
      for _ = 1, 20 do task.spawn(function() for _ = 1, 100000 do end end) end
      used_up() -- they run, and this task is owed a share of their time
      local begun = 0
      for _ = 1, 20 do task.spawn(function() begun = begun + 1 end) end
      for _ = 1, 20000 do end -- so that the loop is polled, and the timer of the next line is due at once
      task.sleep(0)
      assert.equal(20, begun)
    end
  end)

  it("goes on beside short work that never ends", function()
    local stop = false
    local short = {}
    for i = 1, 20 do
      short[i] = task.spawn(function() while not stop do task.sleep(0) end end)
    end
    beside(2, directly, function(counts) until_all(counts, 100) end)
    stop = true
    for _, t in ipairs(short) do t:join() end
  end)

  it("of a task that waits in between is long all the same", function()
    local steps = 0
    local t = task.spawn(function()
      while true do
        for _ = 1, 300000 do end
        task.sleep(0)
        steps = steps + 1
      end
    end)
    while steps < 20 do task.sleep(0.001) end
    t:cancel()
    t:wait()
  end)
end)

describe("task.background", function()
  it("returns results, raises errors, and passes arguments", function()
    assert.same({ 1, nil, 3 }, { task.background(function(...) return ... end, 1, nil, 3) })
    local ok, err = pcall(task.background, error, { code = "X" })
    assert.is_false(ok)
    assert.equal("X", err.code)
    assert.has_error(function() task.background(1) end)
  end)

  it("runs behind what is ready, and behind long work", function()
    local behind, stop = 0, false
    local t = task.spawn(task.background, function()
      while not stop do
        for _ = 1, 1000 do end
        behind = behind + 1
      end
    end)
    while behind == 0 do task.sleep(0.001) end
    beside(1, directly, function(counts)
      until_all(counts, 100)
      local before, from = behind, counts[1]
      until_all(counts, 3000)
      assert.is_true((behind - before) * 3 < counts[1] - from, (behind - before) .. " beside " .. counts[1] - from)
    end)
    stop = true
    t:join()
  end)

  it("holds for what is spawned in it, and ends with it", function()
    local current = require "green.task.native".current
    local function is_background() return (select(2, current())) end
    assert.is_false(is_background())
    local inside, child, nested = task.background(function()
      local t = task.spawn(is_background)
      while t:status() ~= "done" do task.sleep(0.001) end -- to join would lift it
      return is_background(), t:join(), task.background(is_background)
    end)
    assert.same({ true, true, true }, { inside, child, nested })
    assert.is_false(is_background())
    local gen = coroutine.wrap(function() task.background(function() coroutine.yield() end) end)
    gen()
    assert.is_false(is_background()) -- the section waits with its coroutine
    gen()
  end)

  it("is no place to wait behind: who is joined, and who holds a wanted lock, is lifted out", function()
    local current = require "green.task.native".current
    local function until_lifted(done)
      while select(2, current()) do for _ = 1, 1000 do end end
      return done
    end
    beside(2, directly, function()
      assert.equal("joined", task.spawn(task.background, until_lifted, "joined"):join(60))
      local through = task.spawn(task.background, function() return task.spawn(until_lifted, "through another"):join() end)
      assert.equal("through another", through:join(60))
      local mutex, order = task.mutex(), {}
      local owner = task.spawn(task.background, function()
        do
          local _ <close> = mutex:lock()
          order[1] = "locked"
          order[2] = until_lifted("lifted")
        end
        order[3] = select(2, current()) and "in the background again"
      end)
      while not order[1] do task.sleep(0.001) end
      mutex:lock(60):unlock()
      assert.equal("lifted", order[2])
      owner:wait()
      assert.equal("in the background again", order[3])
    end)
  end)
end)
