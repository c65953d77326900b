-- SPDX-License-Identifier: MIT
-- A request without options that comes again is sent by its plan, which was made when it came for the second time. Nothing else about it
-- changes, however it ends, and no plan outlives what it was made for.
local http = require "green.http"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local plans = require "green.http.plans"
local request = require "green.http.request"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 20 -- seconds, where something is bound to come
local TIMES = 4 -- of the same request: the first, the one that is planned, and two by the plan

-- Runs use(base, server) while a server with this handler listens.
local function serving(handler, use)
  local server = native.listen("127.0.0.1:0", handler)
  local ok, e = xpcall(use, debug.traceback, "http://" .. server:address(), server)
  transport.close_idle()
  server:abort()
  server:finish(WAIT)
  assert(ok, e)
end

local function is_planned(client, method, url) return plans.get(client and client.settings or request.DEFAULTS, method, url) ~= nil end

-- Runs use(base, heads) while a server collects the heads of requests, and answers each with `answer`.
local function recording(answer, use)
  local listener, heads = net.listen "127.0.0.1:0", {}
  local acceptor = task.spawn(function()
    while true do
      local socket <close> = listener:accept()
      pcall(function()
        while true do
          local head = ""
          while not head:find("\r\n\r\n", 1, true) do head = head .. socket:read() end
          heads[#heads + 1] = head
          socket:write(answer)
        end
      end)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address(), heads)
  transport.close_idle()
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  listener:close()
  assert(ok, e)
end

describe("a planned request", function()
  it("has the same bytes as one that was not planned, and the same answer", function()
    recording("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Two: a\r\nX-Two: b\r\n\r\nok", function(base, heads)
      local client = http.client { base_url = base .. "/api", auth = { "ann", "secret" }, headers = { ["X-Own"] = "1" } }
      for _, get in ipairs { function() return http.get(base .. "/a?b=c<d#e") end, function() return client:get "list" end } do
        local first = get()
        for i = 2, TIMES do
          local got = get()
          assert.same({ first.status, first.body, first.url, first.version, first.remote }, { got.status, got.body, got.url, got.version, got.remote })
          assert.same({ "a", "b" }, got.headers:all "x-two")
          assert.is_true(got.timings.total >= got.timings.first_byte and got.reused)
          assert.equal(heads[#heads - i + 1], heads[#heads])
          local fields = {}
          for name in pairs(got) do fields[#fields + 1] = name end
          table.sort(fields)
          assert.equal("body headers remote reused status timings url version", table.concat(fields, " "))
        end
      end
      assert.is_true(is_planned(nil, "GET", base .. "/a?b=c<d#e"))
      assert.is_true(is_planned(client, "GET", "list"))
    end)
  end)

  it("is another one for each method and each client", function()
    recording("HTTP/1.1 204 No Content\r\n\r\n", function(base, heads)
      local one, other = http.client { headers = { ["X-Own"] = "one" } }, http.client { headers = { ["X-Own"] = "other" } }
      for _ = 1, TIMES do
        for _, client in ipairs { one, other } do
          for _, method in ipairs { "get", "head", "delete", "post" } do
            assert.equal(204, client[method](client, base .. "/x").status)
            assert.matches("^" .. method:upper() .. " /x HTTP/1.1\r\n", heads[#heads])
            assert.matches("X%-Own: " .. (client == one and "one" or "other") .. "\r\n", heads[#heads])
          end
        end
      end
    end)
  end)

  it("is not made of what depends on more than the URL", function()
    serving(function() return "ok" end, function(base)
      local jar, again = http.client { cookies = true }, http.client { retry = { max = 1 } }
      for _ = 1, TIMES do
        jar:get(base)
        again:get(base)
        http.get(base, { timeout = WAIT })
      end
      assert.is_false(is_planned(jar, "GET", base) or is_planned(again, "GET", base) or is_planned(nil, "GET", base))
      assert.is_false(is_planned(nil, "GET", nil))
    end)
  end)

  it("leads on where its answer does, each time", function()
    serving(function(req)
      if req.path == "/there" then return req.method end
      return require "green.response".redirect "/there"
    end, function(base)
      for _ = 1, TIMES do
        assert.same({ "GET", base .. "/there" }, { http.get(base .. "/here").body, http.get(base .. "/here").url })
      end
      assert.is_true(is_planned(nil, "GET", base .. "/here"))
    end)
  end)

  it("fails as any other, each time", function()
    local listener = net.listen "127.0.0.1:0"
    local base = "http://" .. listener:address() .. "/"
    listener:close()
    for _ = 1, TIMES do
      local e = outcome.failure(http.get, base)
      assert.same({ "ECONNREFUSED", "http.get", "connect", false }, { e.code, e.op, e.phase, e.sent })
      assert.matches("^http.get: GET " .. base:gsub("%p", "%%%0"), e.message)
    end
    local silent = net.listen "127.0.0.1:0"
    local client = http.client { timeout = 0.05 }
    for _ = 1, TIMES do assert.equal("ETIMEDOUT", outcome.failure(client.get, client, "http://" .. silent:address()).code) end
    assert.is_true(is_planned(client, "GET", "http://" .. silent:address()))
    silent:close()
  end)

  it("ends with its task: cancelled, out of time, or when the answer is larger than it may be", function()
    local server = net.listen "127.0.0.1:0"
    local url = "http://" .. server:address() .. "/"
    for i = 1, TIMES do
      local one = outcome.waiting(task.spawn(http.get, url))
      one:cancel()
      assert.equal("ECANCELED", outcome.failure(one.join, one).code)
      assert.equal("EDEADLINE", outcome.failure(task.deadline, 0.02, http.get, url).code)
      assert.equal(i >= 1, is_planned(nil, "GET", url))
    end
    server:close()
    serving(function() return ("x"):rep(100) end, function(base)
      local client = http.client { max_body = 99 }
      for _ = 1, TIMES do assert.equal("EMSGSIZE", outcome.failure(client.get, client, base).code) end
    end)
  end)

  it("may be under way many times, and be forgotten meanwhile", function()
    local go = false
    serving(function(req)
      while req.path == "/slow" and not go do task.sleep(0.001) end
      return req.path
    end, function(base)
      local client = http.client {}
      for _ = 1, 2 do client:get(base .. "/fast") end
      go = true
      for _ = 1, 2 do client:get(base .. "/slow") end
      go = false
      local tasks = {}
      for i = 1, 50 do tasks[i] = outcome.waiting(task.spawn(client.get, client, base .. "/slow")) end
      for i = 1, 300 do client:get(base .. "/fast?" .. i) end -- more than are kept
      assert.is_false(is_planned(client, "GET", base .. "/slow"))
      collectgarbage()
      go = true
      for _, each in ipairs(tasks) do assert.equal("/slow", each:join().body) end
    end)
  end)

  it("is forgotten with its client", function()
    serving(function() return "ok" end, function(base)
      local gone = setmetatable({}, { __mode = "k" })
      do
        local client = http.client {}
        for _ = 1, TIMES do client:get(base) end
        gone[plans.get(client.settings, "GET", base).plan] = true
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(gone))
    end)
  end)

  it("is sent again over a new connection where the server closed the kept one", function()
    local server = net.listen "127.0.0.1:0"
    local url = "http://" .. server:address() .. "/"
    local acceptor = task.spawn(function()
      while true do -- each connection answers one request, and says nothing of that
        local socket <close> = server:accept()
        socket:read()
        socket:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
      end
    end)
    for _ = 1, 20 do assert.equal("ok", http.get(url).body) end
    transport.close_idle()
    acceptor:cancel()
    pcall(acceptor.join, acceptor)
    server:close()
  end)
end)
