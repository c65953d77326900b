-- SPDX-License-Identifier: MIT
-- A lookup that was cancelled while it waited left its domain behind, in a table of 64 chains, until a thread ended: while all
-- threads hung, n lookups of n domains that were given up weighed for ever, and each further one searched through all of them.
-- What waits was not counted against --max-memory either.
local sh = require "shell"

local HANGS = [[
  #include <netdb.h>
  #include <unistd.h>
  int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out) { for (;;) pause(); }
]]

local function run(script)
  local out, err = sh([[cc -shared -fPIC -o hangs.so hangs.c && ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$PWD/hangs.so $lua script.lua]],
    { ["hangs.c"] = HANGS, ["script.lua"] = [[
      local debug, net, task = require "green.debug", require "green.net", require "green.task"
      local function used()
        collectgarbage()
        return debug.memory().used
      end
      local function start(n, fn)
        local tasks = {}
        for i = 1, n do tasks[i] = task.spawn(pcall, fn, i) end
        while tasks[n]:status() ~= "waiting" do task.sleep(0) end -- the last one that was spawned begins last
        return tasks
      end
      local function stop(tasks)
        for i = 1, #tasks do tasks[i]:cancel() end
        for i = 1, #tasks do tasks[i]:wait() end
      end
      local function resolve(i) net.resolve(("n%d.d%d.test"):format(i, i)) end
    ]] .. script })
  assert.equal("", err)
  return out
end

describe("lookups that wait while all threads hang", function()
  it("leave nothing behind when they are cancelled", function()
    assert.equal("true\n", run [[
      local hung = start(64, function(i) net.resolve(("h%d.hung%d.test"):format(i, i)) end)
      stop(start(2000, resolve)) -- what is made once is there
      local before = used()
      stop(start(2000, resolve))
      print(used() - before < 2000 * 20 or used() - before)
      stop(hung)
    ]])
  end)

  it("count as memory", function()
    assert.equal("true\n", run [[
      local N <const> = 2000
      local function weight(fn)
        local before = used()
        local tasks = start(N, fn)
        local with = used()
        stop(tasks)
        return (with - before) / N
      end
      local sleeping = weight(function() task.sleep(1000) end)
      print(weight(resolve) - sleeping > 400 or weight(resolve) - sleeping)
    ]])
  end)
end)
