-- SPDX-License-Identifier: MIT
-- host/libc/spin.c: C code that tries again and again what does not wait, and is not back in Lua meanwhile. Nothing ended its slice: it
-- froze the process.
require "helper"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

-- What is tried: on what, what makes it succeed, and what gives it back.
local function readable()
  local a, b = p.pair()
  p.nonblock(a)
  return { on = a, wake = function() p.send(b, "!") end, done = function()
    p.close(a)
    p.close(b)
  end }
end

-- The end `a` of a connection or a pipe that takes no more.
local function filled(a, b)
  p.nonblock(a)
  repeat until p.write(a, ("x"):rep(4096)) < 0
  repeat until p.write(a, "x") < 0
  return { on = a, wake = function() p.read(b, 1 << 20) end, done = function()
    p.close(a)
    p.close(b)
  end }
end

local function full() return filled(p.pair()) end

local function full_pipe()
  local r, w = p.pipe()
  return filled(w, r)
end

local function listener()
  local l, port = p.listen()
  local client = p.socket()
  p.nonblock(l)
  return { on = l, wake = function() p.connect(client, port) end, done = function(got)
    if got then p.close(got) end
    p.close(l)
    p.close(client)
  end }
end

-- A child that ends when its input does.
local function child()
  local r, w = p.pipe()
  local pid = p.spawn("read x; exit 7", r)
  return { on = pid, wake = function() p.close(w) end, result = pid, done = function(got)
    p.close(r)
    if got then return end
    p.close(w)
    p.reap(pid)
  end }
end

local rows = {
  { on = "a socket", make = readable, "poll", "ppoll", "select", "pselect", "epoll_wait", "read", "recv", "recv of what does not block" },
  { on = "a full socket", make = full, "write", "writev", "send" },
  { on = "a full pipe", make = full_pipe, "write", "writev" },
  { on = "a listener", make = listener, "accept" },
  { on = "a child", make = child, "waitpid", "wait3", "wait4", "waitid" },
}

for _, row in ipairs(rows) do
  local make = row.make
  for i = 1, #row do
    local how = row[i]
    describe(("C code that spins on %s of %s"):format(how, row.on), function()
      it("makes way for others", function()
        local s = make()
        local one = waiting(task.spawn(p.spin, how, s.on))
        s.wake() -- this task runs at all
        local got = one:join(60)
        if make == listener then assert.is_true(got > 0)
        else assert.equal(s.result or 1, got) end
        s.done(got)
      end)

      it("is told when its task must end", function()
        local s, t = make(), make()
        local one = waiting(task.spawn(p.spin, how, s.on))
        one:cancel()
        assert.equal("cancelled", one:wait(60))
        assert.equal("EDEADLINE", failure(task.deadline, 0.02, p.spin, how, t.on).code)
        s.done()
        t.done()
      end)
    end)
  end
end

-- LuaSocket's `receive` of a line of 8 MB held everybody up for 100 ms, and one without end for ever: there was always something to receive.
describe("C code that is served whenever it asks", function()
  local PEEK = 2

  it("makes way for others, and is told when its task must end", function()
    local s = readable()
    s.wake()
    local one = task.spawn(p.swallow, s.on, PEEK)
    task.sleep(0) -- the other one begins, and this one goes on at all
    one:cancel()
    assert.equal("cancelled", one:wait(60))
    s.done()
  end)

  it("has a deadline, after which the connection is lost", function()
    local s = readable()
    s.wake()
    assert.equal("EDEADLINE", failure(task.deadline, 0.02, p.swallow, s.on, PEEK).code)
    assert.same({ -1, "ECONNRESET" }, { p.recv(s.on, 10) })
    s.done()
  end)

  it("gets all that comes", function()
    local a, b = p.pair()
    local one = task.spawn(p.swallow, a)
    local piece = ("x"):rep(1 << 20)
    for _ = 1, 50 do assert.equal(#piece, (p.send(b, piece))) end
    p.close(b)
    assert.equal(50 * #piece, (one:join(60)))
    p.close(a)
  end)
end)
