-- SPDX-License-Identifier: MIT
local outcome = require "outcome"
local task = require "green.task"

local waiting = outcome.waiting

local function acquirer(s, log, name)
  return waiting(task.spawn(function()
    s:acquire(5)
    log[#log + 1] = name
  end))
end

describe("task.semaphore", function()
  it("lets n in and no more", function()
    local s, inside, most = task.semaphore(3), 0, 0
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        local _ <close> = s:acquire()
        inside = inside + 1
        most = math.max(most, inside)
        task.sleep(0)
        inside = inside - 1
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ 3, 0, 3 }, { most, inside, s:available() })
  end)

  it("is first come, first served", function()
    local s, log, tasks = task.semaphore(1), {}, {}
    s:acquire()
    for i = 1, 5 do tasks[i] = acquirer(s, log, i) end
    for _ = 1, 5 do s:release() end
    assert.is_false(s:try()) -- each permit was handed on, though nobody has run yet
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ 1, 2, 3, 4, 5 }, log)
  end)

  it("gives up after its timeout, and takes no permit with it", function()
    local s = task.semaphore(1)
    s:acquire()
    local ok, err = pcall(s.acquire, s, 0.001)
    assert.same({ false, "ETIMEDOUT" }, { ok, err.code })
    s:release()
    assert.equal(1, s:available())
  end)

  it("skips a waiter that was cancelled", function()
    local s, log = task.semaphore(1), {}
    s:acquire()
    local a, b, c = acquirer(s, log, "a"), acquirer(s, log, "b"), acquirer(s, log, "c")
    b:cancel()
    s:release()
    s:release()
    a:join()
    c:join()
    assert.is_false((pcall(b.join, b)))
    assert.same({ "a", "c" }, log)
    assert.equal(0, s:available())
  end)

  it("loses no permit when the waiter is cancelled after it was granted", function()
    local s = task.semaphore(1)
    s:acquire()
    local t = waiting(task.spawn(function()
      local _ <close> = s:acquire()
      task.sleep(60)
    end))
    s:release()
    t:cancel()
    assert.is_false((pcall(t.join, t)))
    assert.equal(1, s:available())
  end)

  it("gives back on each way out of a scope", function()
    local s = task.semaphore(1)
    pcall(function()
      local _ <close> = s:acquire()
      error "out"
    end)
    assert.is_true(s:try())
  end)

  it("wakes who waits when it is closed", function()
    local s = task.semaphore(1)
    s:acquire()
    local codes = {}
    local function wait()
      local _, err = pcall(s.acquire, s)
      codes[#codes + 1] = err.code
    end
    local a, b = waiting(task.spawn(wait)), waiting(task.spawn(wait))
    s:close()
    a:join()
    b:join()
    wait()
    assert.same({ "ECLOSED", "ECLOSED", "ECLOSED" }, codes)
    assert.is_false(s:try())
  end)

  it("refuses to be released more often than it was acquired", function()
    local s = task.semaphore(2)
    assert.has_error(function() s:release() end)
    assert.has_error(function() task.semaphore(0) end)
  end)
end)
