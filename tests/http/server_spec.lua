-- SPDX-License-Identifier: MIT
-- Servers: their life, their limits, their addresses.
local backlog = require "net.backlog"
local native = require "green.http.native"
local outcome = require "outcome"
local raw = require "http.raw"
local sh = require "shell"
local task = require "green.task"

local GET, get, post, echo, eventually, failure = raw.GET, raw.get, raw.post, raw.echo, raw.eventually, raw.failure

describe("a server", function()
  it("lets what runs finish, and ends what is idle", function()
    local go
    local function handler(req)
      if req.path == "/slow" then eventually(function() return go end, "told to go on") end
      return req.path
    end
    raw.serve(handler, {}, function(address, server)
      local idle <close> = raw.connect(address)
      local busy <close> = raw.connect(address)
      local half <close> = raw.connect(address)
      idle:send(GET)
      idle:answer()
      busy:send(get "/slow", get "/never")
      half:send "GET /half HT"
      eventually(function() return server:connections() == 3 end, "connected")
      backlog.taken(tonumber(address:match ":(%d+)$"))
      local closing = task.spawn(server.finish, server, 20)
      assert.equal("", idle:rest())
      assert.is_false((pcall(raw.connect, address)))
      half:send "TP/1.1\r\nHost: a\r\n\r\n"
      local answer = half:answer()
      assert.equal("/half", answer.body)
      assert.equal("close", answer.headers.connection)
      assert.equal("waiting", closing:status() == "ready" and "waiting" or closing:status())
      go = true
      answer = busy:answer()
      assert.equal("/slow", answer.body)
      assert.equal("close", answer.headers.connection)
      busy:shutdown()
      assert.equal("", busy:rest())
      closing:join()
      assert.equal(0, server:connections())
    end)
  end)

  it("does not wait for an unread body when it finishes", function()
    raw.serve(function() return "no" end, {}, function(address, server)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      assert.equal("no", client:answer().body)
      local closing = task.spawn(server.finish, server, 20)
      assert.equal("", client:rest())
      client:close()
      closing:join()
    end)
  end)

  it("raises when finishing takes too long, and can then be aborted", function()
    local began, closed
    local function handler()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      began = true
      task.sleep(60)
    end
    raw.serve(handler, {}, function(address, server)
      local client <close> = raw.connect(address)
      client:send(GET)
      eventually(function() return began end, "the handler began")
      assert.equal("ETIMEDOUT", failure(server.finish, server, 0.01).code)
      local first = outcome.waiting(task.spawn(server.finish, server))
      assert.equal("EBUSY", failure(server.finish, server).code)
      server:abort()
      first:join()
      assert.is_true(closed)
      assert.equal("", client:rest())
      server:abort()
      server:finish(20)
    end)
  end)

  it("is aborted with requests it never began", function()
    local ran = 0
    raw.serve(function() ran = ran + 1 return "x" end, {}, function(address, server)
      local clients = {}
      for i = 1, 20 do
        clients[i] = raw.connect(address)
        clients[i]:send(GET)
      end
      server:abort()
      for _, client in ipairs(clients) do
        client:rest()
        client:close()
      end
      server:finish(20)
    end)
  end)

  it("goes away with its handle and what runs there", function()
    local began, closed
    local function handler()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      began = true
      task.sleep(60)
    end
    local server = native.listen("127.0.0.1:0", handler)
    local client <close> = raw.connect(server:address())
    client:send(GET)
    eventually(function() return began end, "the handler began")
    pcall(server.finish, server, 0)
    server = nil
    collectgarbage()
    collectgarbage()
    eventually(function() return closed end, "the handler was cancelled")
    assert.equal("", client:rest())
  end)

  it("lets connections wait beyond its limit, and gives idle ones up for them", function()
    local out, err = raw.script [[
      raw.serve(function() return "fine" end, { max_connections = 2 }, function(address, server)
        local one <close> = raw.connect(address)
        local two <close> = raw.connect(address)
        one:send(raw.GET)
        print(one:answer().status) -- idle from now on
        local three <close> = raw.connect(address)
        local four <close> = raw.connect(address)
        three:send(raw.GET)
        print(three:answer().status, #one:rest())
        two:send(raw.GET)
        four:send(raw.GET)
        print(two:answer().status, four:answer().status)
      end)
    ]]
    assert.equal("200\n200\t0\n200\t200\n", out)
    assert.matches("^%S+Z warning: 127.0.0.1:%d+: as many connections as max_connections allows: further clients wait\n$", err)
  end)

  it("serves 500 connections at once", function()
    local open = 0
    local function come() open = open + 1 end
    local gate = task.spawn(function() eventually(function() return open == 500 end, "all are there") end)
    local function handler(req)
      task.atomic(come)
      gate:join()
      return req.path
    end
    raw.serve(handler, {}, function(address, server)
      local clients = {}
      for i = 1, 500 do
        clients[i] = raw.connect(address)
        clients[i]:send(get("/" .. i))
      end
      for i, client in ipairs(clients) do assert.equal("/" .. i, client:answer().body) end
      assert.equal(500, server:connections())
      for _, client in ipairs(clients) do client:close() end
      eventually(function() return server:connections() == 0 end, "all left")
    end)
  end)

  it("is one of several, each with its own", function()
    raw.serve(function() return "one" end, {}, function(one)
      raw.serve(function() return "two" end, {}, function(two)
        assert.are_not.equal(one, two)
        assert.equal("one", raw.ask(one, GET).body)
        assert.equal("two", raw.ask(two, GET).body)
      end)
      assert.equal("one", raw.ask(one, GET).body)
    end)
  end)

  it("finds its handlers by method and path", function()
    local dispatch = {
      exact = { GET = { ["/a"] = function() return "GET a" end }, POST = { ["/a"] = function() return "POST a" end } },
      fallback = function(req) return "other " .. req.method end,
    }
    raw.serve(dispatch, {}, function(address)
      assert.equal("GET a", raw.ask(address, get "/a?b").body)
      assert.equal("GET a", raw.ask(address, get "/a", "").body)
      assert.equal("POST a", raw.ask(address, post("/a", "")).body)
      assert.equal("other GET", raw.ask(address, get "/b").body)
      assert.equal("other PUT", raw.ask(address, (post("/a", ""):gsub("POST", "PUT", 1))).body)
      local client <close> = raw.connect(address)
      client:send((get("/a"):gsub("GET", "HEAD", 1)))
      assert.equal("5", client:answer(true).headers["content-length"])
    end)
  end)
end)

describe("an address", function()
  local function listen(address) return native.listen(address, echo) end

  it("may be a port of one or all interfaces, of IPv4 or IPv6", function()
    for address, pattern in pairs { ["127.0.0.1:0"] = "^127%.0%.0%.1:%d+$", ["localhost:0"] = "^127%.0%.0%.1:%d+$", ["[::1]:0"] = "^%[::1%]:%d+$" } do
      local server = listen(address)
      assert.matches(pattern, server:address())
      assert.equal("GET / []", raw.ask(server:address(), GET).body)
      server:abort()
      server:finish(20)
    end
  end)

  it("in use is refused by name", function()
    local server = listen "127.0.0.1:0"
    local err = failure(listen, server:address())
    assert.equal("EADDRINUSE", err.code)
    assert.equal(("http.listen: %s: address already in use"):format(server:address()), tostring(err))
    server:abort()
    server:finish(20)
  end)

  it("that is none is refused by name", function()
    local wrong = {
      "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:80x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
      "127.0.0.1: 1", "127.0.0.1:\t1", "127.0.0.1:99999999999999999999", "here:80", "256.0.0.1:80", "::1:80", "[::1]", "[::1]80", "[]:80", "[::g]:80",
      "[127.0.0.1]:80", "unix:", "unix:" .. ("a"):rep(108), ("a"):rep(64) .. ":80", "127.0.0.1:80\0x", "http://127.0.0.1:80",
    }
    for _, address in ipairs(wrong) do
      local err = failure(listen, address)
      assert.equal("EINVAL", err.code, address)
      assert.matches("^http.listen: ", tostring(err))
    end
    assert.equal("EADDRNOTAVAIL", failure(listen, "192.0.2.1:0").code)
    assert.error_matches(function() listen(nil) end, "bad argument #1")
    assert.error_matches(function() native.listen("127.0.0.1:0") end, "bad argument #2")
    assert.error_matches(function() native.listen("127.0.0.1:0", {}) end, "dispatch.fallback must be a function")
    assert.error_matches(function() native.listen("127.0.0.1:0", echo, 1) end, "bad argument #3")
  end)

  it("comes with options that are checked", function()
    for option, value in pairs {
      header_timeout = 0, keepalive_timeout = -1, body_timeout = "x", write_timeout = 0 / 0, request_timeout = math.huge,
      max_target = 0, max_head = 1.5, max_headers = "x", max_body = -1, max_connections = 1e12, max_streams = 0,
    } do
      assert.error_matches(function() native.listen("127.0.0.1:0", echo, { [option] = value }) end, "option '" .. option .. "' must be")
    end
  end)

  describe("of a unix socket", function()
    local path
    before_each(function()
      path = os.tmpname()
      os.remove(path)
    end)
    after_each(function() os.remove(path) end)

    it("is served, and its file removed", function()
      local server = listen("unix:" .. path)
      assert.equal("unix:" .. path, server:address())
      assert.equal("GET / []", raw.ask("unix:" .. path, GET).body)
      local other = failure(listen, "unix:" .. path)
      assert.equal("EADDRINUSE", other.code)
      assert.equal("GET / []", raw.ask("unix:" .. path, GET).body)
      server:abort()
      server:finish(20)
      assert.is_nil(io.open(path))
      assert.equal("ENOENT", failure(raw.connect, "unix:" .. path).code)
    end)

    it("left behind by a process that died is taken over", function()
      sh("$lua script.lua & wait", { ["script.lua"] = ([[
        require("green.http.native").listen("unix:%s", print)
        os.execute "kill -9 $PPID"
      ]]):format(path) })
      assert.equal("ECONNREFUSED", failure(raw.connect, "unix:" .. path).code)
      local server = listen("unix:" .. path)
      assert.equal("GET / []", raw.ask("unix:" .. path, GET).body)
      server:abort()
      server:finish(20)
    end)

    it("is not taken from a file, nor made where there is no folder", function()
      io.open(path, "w"):close()
      assert.equal("EEXIST", failure(listen, "unix:" .. path).code)
      assert(io.open(path)):close()
      assert.equal("ENOENT", failure(listen, "unix:" .. path .. "/none/sock").code == "ENOTDIR" and "ENOENT")
    end)
  end)
end)
