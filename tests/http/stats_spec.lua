-- SPDX-License-Identifier: MIT
-- What http.stats() says of the connections, of all servers and of each.
local http = require "green.http"
local native = require "green.http.native"
local sh = require "shell"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 20 -- seconds, where something is bound to come

-- Runs use(base, server) while a server with this handler listens.
local function serving(handler, use)
  local server = native.listen("127.0.0.1:0", handler)
  local ok, e = xpcall(use, debug.traceback, "http://" .. server:address(), server)
  transport.close_idle()
  server:abort()
  server:finish(WAIT)
  assert(ok, e)
end

local function until_holds(condition, what)
  task.deadline(WAIT, function()
    while not condition() do task.sleep(0.001) end
  end)
  assert.is_true(condition(), what)
end

local function counts_of(base)
  local all = http.stats().hosts[base]
  return all and ("%d = %d + %d + %d, %d"):format(all.connections, all.active, all.idle, all.dialing, all.waiting)
end

describe("http.stats", function()
  it("counts the connections of each server", function()
    local go = false
    local function handler()
      while not go do task.sleep(0.001) end
      return "ok"
    end
    serving(handler, function(one)
      serving(handler, function(other)
        assert.is_nil(counts_of(one))
        local before = http.stats()
        local tasks = {}
        for i = 1, 5 do tasks[i] = task.spawn(http.get, (i <= 3 and one or other) .. "/") end
        until_holds(function() return counts_of(one) == "3 = 3 + 0 + 0, 0" and counts_of(other) == "2 = 2 + 0 + 0, 0" end)
        assert.equal(before.active + 5, http.stats().active)
        go = true
        for _, each in ipairs(tasks) do each:join() end
        assert.equal("3 = 0 + 3 + 0, 0", counts_of(one))
        assert.equal("2 = 0 + 2 + 0, 0", counts_of(other))
        local after = http.stats()
        assert.equal(before.requests + 5, after.requests)
        assert.equal(after.connections, after.active + after.idle + after.dialing)
        transport.close_idle()
        assert.is_nil(counts_of(one))
      end)
    end)
  end)

  it("adds up those that differ in what leads to the server", function()
    serving(function() return "ok" end, function(base)
      http.get(base .. "/")
      http.get(base .. "/", { deny_private = false })
      pcall(http.get, base .. "/", { deny_private = true }) -- another identity, which has no connection
      assert.equal("1 = 0 + 1 + 0, 0", counts_of(base))
      http.get(base .. "/", { proxy = base }) -- our server takes the absolute form
      assert.equal("2 = 0 + 2 + 0, 0", counts_of(base))
    end)
  end)

  it("names sockets by their path, and addresses of IPv6 in brackets", function()
    local out = sh([[$lua names.lua]], { ["names.lua"] = [[
      local http, native = require "green.http", require "green.http.native"
      local server = native.listen("unix:./a.sock", function() return "ok" end)
      http.get("http://app.example/", { unix = "./a.sock" })
      for name, host in pairs(http.stats().hosts) do print(name, host.idle) end
      require "green.http.transport".close_idle()
      local ok, six = pcall(native.listen, "[::1]:0", function() return "ok" end)
      if ok then http.get("http://" .. six:address() .. "/") end
      for name in pairs(http.stats().hosts) do print((name:gsub("%d+$", "N"))) end
      if not ok then print "http://[::1]:N" end
      os.exit(0)
    ]] })
    assert.equal("unix:./a.sock\t1\nhttp://[::1]:N\n", out)
  end)

  it("counts those that wait for a connection", function()
    local out = sh([[ulimit -n 4096; $lua wait.lua]], { ["wait.lua"] = [[
      local http, native, task = require "green.http", require "green.http.native", require "green.task"
      local go = false
      local server = native.listen("127.0.0.1:0", function()
        while not go do task.sleep(0.01) end
        return "ok"
      end)
      local base = "http://" .. server:address()
      local tasks = {}
      for i = 1, 1030 do tasks[i] = task.spawn(http.get, base .. "/", { timeout = 120, connect_timeout = 120 }) end
      local function counts() return http.stats().hosts[base] or { active = 0 } end
      task.deadline(60, function()
        while counts().active < 1024 or counts().waiting < 6 do task.sleep(0.01) end
      end)
      print(counts().connections, counts().dialing, counts().waiting)
      go = true
      for _, each in ipairs(tasks) do each:join() end
      print(counts().waiting)
      os.exit(0)
    ]] })
    assert.equal("1024\t0\t6\n0\n", out)
  end)
end)
