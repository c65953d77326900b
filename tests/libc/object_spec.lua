-- SPDX-License-Identifier: MIT
-- host/libc/hold.c: one object, one call at a time. A call on an object of a C module is as whole as under lua, where nothing runs
-- between its beginning and its end; who waits for the object does so in a queue, with deadlines and cancels.
require "helper"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

-- An object whose other side answers each line with the same one, `pieces` bytes at a time.
local function echo(how)
  local a, b = p.pair()
  local server = task.spawn(function()
    local line = ""
    while true do
      local n, _, bytes = p.recv(b, 100)
      if n <= 0 then return end
      line = line .. bytes
      while line:find "\n" do
        local one, rest = line:match "^(.-\n)(.*)$"
        line = rest
        p.send(b, one:sub(1, 2))
        task.sleep(0)
        p.send(b, one:sub(3))
      end
    end
  end)
  local object = p.object(a, how)
  return object, function()
    p.close(b)
    p.close(a)
    server:cancel()
    server:wait(60)
  end
end

for _, how in ipairs { "c", "t", "u" } do
  describe("an object that is reached for by " .. how, function()
    it("has one call at a time, and each gets its own answer", function()
      local object, done = echo(how)
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = task.spawn(function()
          for k = 1, 5 do
            local line = ("task %d, call %d\n"):format(i, k)
            assert.equal(line, object:ask(line))
          end
        end)
      end
      for i = 1, 20 do tasks[i]:join(60) end
      assert.equal(1, object:most())
      done()
    end)

    it("is never entered by a task whose deadline passed in the queue, or that was cancelled there", function()
      local a, b = p.pair()
      local object = p.object(a, how)
      local first = waiting(task.spawn(object.ask, object, "first\n"))
      local late = failure(task.deadline, 0.02, function() object:ask "late\n" end)
      assert.equal("EDEADLINE", late.code)
      local cancelled = waiting(task.spawn(object.ask, object, "cancelled\n"))
      cancelled:cancel()
      assert.equal("cancelled", cancelled:wait(60))
      p.send(b, "answer\n")
      assert.equal("answer\n", first:join(60))
      assert.same({ 6, nil, "first\n" }, { p.recv(b, 100, 0x40) })
      assert.equal(-1, (p.recv(b, 100, 0x40)))
      p.close(a)
      p.close(b)
    end)

    it("is had in the order in which tasks came", function()
      local object, done = echo(how)
      local order, tasks = {}, {}
      for i = 1, 5 do
        tasks[i] = waiting(task.spawn(function()
          object:ask(i .. "\n")
          order[#order + 1] = i
        end))
      end
      for i = 1, 5 do tasks[i]:join(60) end
      assert.same({ 1, 2, 3, 4, 5 }, order)
      done()
    end)
  end)
end

describe("an object", function()
  it("is not had by whoever came last, though it calls all the time", function()
    local object, done = echo "c"
    local calls, enough = 0, false
    local greedy = task.spawn(function()
      repeat
        object:ask "greedy\n"
        calls = calls + 1
      until enough
    end)
    local modest = waiting(task.spawn(function() return object:ask "modest\n" end))
    local before = calls
    assert.equal("modest\n", modest:join(60))
    assert.is_true(calls - before <= 2)
    enough = true
    greedy:join(60)
    done()
  end)

  it("is held while its C function calls back and the callback waits, and had by the callback itself", function()
    local object, done = echo "c"
    local channel = task.channel(1)
    local first = waiting(task.spawn(function()
      return object:call(function()
        channel:receive()
        return object:ask "inside\n"
      end)
    end))
    local second = waiting(task.spawn(function() return object:ask "outside\n" end))
    assert.equal("waiting", second:status())
    channel:send(true)
    assert.equal("inside\n", first:join(60))
    assert.equal("outside\n", second:join(60))
    assert.equal(2, object:most()) -- the call and the one in its callback
    done()
  end)

  it("is held with its whole module when its C function sleeps: objects may share more than a descriptor", function()
    local a, b = p.pair()
    local one, other = p.object(a, "c"), p.object(b, "c")
    local sleeper = waiting(task.spawn(one.nap, one, 3600 * 1000))
    local second = waiting(task.spawn(other.nap, other, 1))
    assert.equal("waiting", second:status())
    sleeper:cancel()
    assert.equal("cancelled", sleeper:wait(60))
    second:join(60)
    p.close(a)
    p.close(b)
  end)

  it("shares a descriptor with another: that one waits, too", function()
    local a, b = p.pair()
    local one, other = p.object(a, "c"), p.object(a, "c")
    local first = waiting(task.spawn(one.ask, one, "1\n"))
    local second = waiting(task.spawn(other.ask, other, "2\n"))
    assert.same({ 2, nil, "1\n" }, { p.recv(b, 100, 0x40) })
    assert.equal(-1, (p.recv(b, 100, 0x40)))
    p.send(b, "one\n")
    assert.equal("one\n", first:join(60))
    p.send(b, "two\n")
    assert.equal("two\n", second:join(60))
    p.close(a)
    p.close(b)
  end)

  it("of two tasks that wait for each other's is reported, with both tracebacks", function()
    local x, done_x = echo "c"
    local y, done_y = echo "c"
    local ready, channel = 0, task.channel(2)
    local function both(mine, others)
      return function()
        return mine:call(function()
          ready = ready + 1
          channel:receive()
          return (others:ask "hello\n")
        end)
      end
    end
    local one, two = waiting(task.spawn(both(x, y))), waiting(task.spawn(both(y, x)))
    channel:send(true)
    channel:send(true)
    local results = { one:wait(60), two:wait(60) }
    table.sort(results)
    assert.same({ "done", "failed" }, results)
    local err = failure(function()
      one:join()
      two:join()
    end)
    assert.equal("EDEADLK", err.code)
    assert.matches("this one, stack traceback:.*the other, stack traceback:", err.message)
    assert.equal(2, ready)
    done_x()
    done_y()
  end)

  it("that is not held costs the others nothing: many wait, each with its own", function()
    local tasks, ends = {}, {}
    for i = 1, 100 do
      local a, b = p.pair()
      local object = p.object(a, "c")
      ends[i] = { a, b }
      tasks[i] = waiting(task.spawn(object.ask, object, i .. "\n"))
    end
    for i = 100, 1, -1 do p.send(ends[i][2], i .. "\n") end
    for i = 1, 100 do
      assert.equal(i .. "\n", tasks[i]:join(60))
      p.close(ends[i][1])
      p.close(ends[i][2])
    end
  end)
end)
