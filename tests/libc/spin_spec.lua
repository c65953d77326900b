-- SPDX-License-Identifier: MIT
-- host/libc/spin.c: C code that tries again and again what does not wait, and is not back in Lua meanwhile. Nothing ended its slice: it
-- froze the process.
require "helper"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

-- A pair of sockets without blocking.
local function pair()
  local a, b = p.pair()
  p.nonblock(a)
  return a, b, function()
    p.close(a)
    p.close(b)
  end
end

for _, how in ipairs { "poll", "ppoll", "select", "pselect", "epoll_wait", "read", "recv", "recv of what does not block" } do
  describe("C code that spins on " .. how, function()
    it("makes way for others", function()
      local a, b, done = pair()
      local one = waiting(task.spawn(p.spin, how, a))
      p.send(b, "!") -- this task runs at all
      assert.equal(1, one:join(60))
      done()
    end)

    it("is told when its task must end", function()
      local a, _, done = pair()
      local b, _, done_too = pair()
      local one = waiting(task.spawn(p.spin, how, a))
      one:cancel()
      assert.equal("cancelled", one:wait(60))
      assert.equal("EDEADLINE", failure(task.deadline, 0.02, p.spin, how, b).code)
      done()
      done_too()
    end)
  end)
end
