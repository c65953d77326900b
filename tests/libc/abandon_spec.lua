-- SPDX-License-Identifier: MIT
-- host/libc/abandon.c: tasks shared one connection to PostgreSQL, with deadlines. A task asked and was out of time; its answer came
-- later, and the next task that asked on the connection got it (libpq takes the failure of poll for the end of a query, not of the
-- connection). So an answer that nobody waits for any more is received by nobody: the connection is lost for whoever comes next.
require "helper"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting
local IN, OUT, DONTWAIT = 1, 4, 0x40

local ways = {
  recv = function(fd) return p.recv(fd, 100) end,
  recvmsg = function(fd) return p.recvmsg(fd, 100) end,
  read = function(fd) return p.read(fd, 100) end,
  poll = function(fd) return p.poll(fd, IN, -1) end,
  ppoll = function(fd) return p.ppoll(fd, IN, 60000) end,
  select = function(fd) return p.select(fd, "r", 60000) end,
}

-- A pair of sockets, one of which a task has waited for in this way, until its deadline passed.
local function torn(way)
  local a, b = p.pair()
  p.send(a, "question\n")
  assert.equal("EDEADLINE", failure(task.deadline, 0.01, way, a).code)
  return a, b
end

for name, way in pairs(ways) do
  describe("a connection whose exchange was cut short in " .. name, function()
    it("gives the answer to nobody", function()
      for _, next_way in pairs(ways) do
        local a, b = torn(way)
        p.send(b, "answer\n")
        next_way(a)
        assert.same({ -1, "ECONNRESET" }, { p.recv(a, 100) })
        assert.same({ -1, "ECONNRESET" }, { p.recv(a, 100, DONTWAIT) }) -- as libmariadb does
        assert.equal(-1, (p.send(a, "another question\n")))
        p.close(a)
        p.close(b)
      end
    end)

    it("sends a goodbye", function()
      local a, b = torn(way)
      assert.equal(4, (p.send(a, "bye\n")))
      assert.equal("question\nbye\n", select(3, p.recv(b, 100)))
      p.close(a)
      p.close(b)
    end)

    it("is forgotten when its descriptor is another's", function()
      local a, b = torn(way)
      local c, d = p.pair()
      p.dup2(c, a)
      p.send(d, "hello")
      assert.equal("hello", select(3, p.recv(a, 100)))
      for _, fd in ipairs { a, b, c, d } do p.close(fd) end
    end)
  end)
end

describe("an exchange that was cut short", function()
  it("while it sent ends the connection at once: what another sent would be taken for the rest", function()
    local a, b = p.pair()
    assert.equal("EDEADLINE", failure(task.deadline, 0.01, p.send, a, ("x"):rep(1 << 20)).code)
    assert.equal(-1, (p.send(a, "bye\n")))
    local n = 0
    for got in function() return p.recv(b, 1 << 20) end do
      if got <= 0 then break end
      n = n + got
    end
    assert.is_true(n < 1 << 20)
    p.close(a)
    p.close(b)
  end)

  it("before it waited ends the connection, too", function()
    local a, b = p.pair()
    local one = waiting(task.spawn(function()
      pcall(task.sleep, 60)
      p.send(a, "question\n")
      p.recv(a, 100)
    end))
    one:cancel()
    assert.equal("cancelled", one:wait(60))
    p.send(b, "answer\n")
    assert.same({ -1, "ECONNRESET" }, { p.recv(a, 100) })
    p.close(a)
    p.close(b)
  end)

  it("is none of a listener, a datagram socket, a pipe, or of several descriptors", function()
    local l, port = p.listen()
    failure(task.deadline, 0.01, p.accept, l)
    local c = p.socket()
    assert.equal(0, (p.connect(c, port)))
    local s = p.accept(l)
    failure(task.deadline, 0.01, p.polls, { c, s }, -1)
    p.send(s, "hello")
    assert.equal("hello", select(3, p.recv(c, 100)))
    local r, w = p.pipe()
    failure(task.deadline, 0.01, p.read, r, 10)
    p.write(w, "hello")
    assert.equal("hello", select(3, p.read(r, 100)))
    local u = p.udp()
    failure(task.deadline, 0.01, p.recv, u, 10)
    assert.equal(1, (p.poll(u, OUT, 1000)))
    for _, fd in ipairs { l, c, s, r, w, u } do p.close(fd) end
  end)
end)
