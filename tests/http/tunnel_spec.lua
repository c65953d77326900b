-- SPDX-License-Identifier: MIT
-- What a proxy answers when it is asked for a tunnel (CONNECT): a refusal is told with its status and the beginning of its body, and what an
-- agreement says of a body is ignored (RFC 9110, 9.3.6).
local certificates = require "net.certificates"
local http = require "green.http"
local net = require "green.net"
local outcome = require "outcome"
local response = require "green.response"
local raw = require "http.raw"
local task = require "green.task"

local WAIT = 20 -- seconds, where something is bound to come

-- Runs use(proxy's URL) while connections to a proxy are served by peer(socket), which has read the head of CONNECT.
local function proxying(peer, use)
  local listener <close> = net.listen "127.0.0.1:0"
  local acceptor = task.spawn(function()
    while true do
      local socket <close> = listener:accept()
      local head = ""
      while not head:find("\r\n\r\n", 1, true) do head = head .. assert(socket:read(65536, WAIT)) end
      pcall(peer, socket)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address())
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  assert(ok, e)
end

local function until_end(socket) while socket:read(65536) do end end

local function refused(proxy, opts)
  opts = opts or {}
  opts.proxy, opts.timeout, opts.connect_timeout = proxy, opts.timeout or 60, 60
  local e = outcome.failure(http.get, "https://far.invalid/", opts)
  assert.same({ "EPROXY", "proxy", false }, { e.code, e.phase, e.sent })
  assert.is_nil(e.status) -- a server would answer with it
  return e
end

describe("a proxy's refusal", function()
  it("has its status, its headers and its body", function()
    proxying(function(socket)
      socket:write "HTTP/1.1 407 Who Are You\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 9\r\n\r\nlog"
      task.sleep(0.01) -- not all of it at once
      socket:write " in!!!"
      until_end(socket)
    end, function(proxy)
      local e = refused(proxy)
      assert.same({ status = 407, body = "log in!!!", headers = { ["proxy-authenticate"] = "Basic realm=x", ["content-length"] = "9" } }, e.response)
      assert.matches("the proxy answered 407 Who Are You$", e.message)
    end)
  end)

  it("may end its body in any way", function()
    for answer, body in pairs {
      ["HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] = "abc",
      ["HTTP/1.1 502 Bad\r\n\r\nuntil the end"] = "until the end",
      ["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"] = "",
      ["HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\ncut"] = "cut",
      ["HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno chunk"] = "abc",
      ["HTTP/1.1 304 Odd\r\nContent-Length: 10\r\n\r\n"] = "",
      ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"] = "no",
      ["HTTP/1.1 403 No\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(100000)] = ("x"):rep(1024),
    } do
      proxying(function(socket) socket:write(answer) end, function(proxy) assert.equal(body, refused(proxy).response.body) end)
    end
  end)

  it("is told even when its body does not end", function()
    proxying(function(socket)
      socket:write "HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nabc"
      until_end(socket)
    end, function(proxy)
      assert.equal("abc", refused(proxy).response.body) -- after a second
      assert.equal(403, refused(proxy, { timeout = 0.2 }).response.status)
      assert.equal(403, refused(proxy, { timeouts = { proxy = 0.2 } }).response.status)
    end)
  end)

  it("can be given up", function()
    proxying(function(socket)
      socket:write "HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nabc"
      until_end(socket)
    end, function(proxy)
      local e = outcome.failure(task.deadline, 0.1, http.get, "https://far.invalid/", { proxy = proxy })
      assert.equal("EDEADLINE", e.code)
    end)
  end)

  it("does not become the answer of a server that asked", function()
    proxying(function(socket) socket:write "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" end, function(proxy)
      raw.serve(function(req)
        if req.path == "/get" then return http.get("https://far.invalid/", { proxy = proxy }) end
        return response.proxy("https://far.invalid/", { proxy = proxy })
      end, nil, function(front)
        assert.equal(500, raw.ask(front, raw.get "/get").status)
      end)
    end)
  end)
end)

describe("a proxy's agreement", function()
  local certs

  lazy_setup(function() certs = certificates() end)
  lazy_teardown(function() certs:close() end)

  it("has no body, whatever it says of one", function()
    local server = net.listen("127.0.0.1:0", { tls = { cert = certs.site.cert, key = certs.site.key } })
    local acceptor = task.spawn(function()
      while true do
        local socket <close> = server:accept()
        pcall(function()
          local head = ""
          while not head:find("\r\n\r\n", 1, true) do head = head .. assert(socket:read(65536, WAIT)) end
          socket:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        end)
      end
    end)
    for _, fields in ipairs { "", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Content-Length: 0\r\n", "Connection: close\r\n" } do
      for _, status in ipairs { "200 Connection established", "204 Fine", "299 Odd" } do
        proxying(function(socket)
          local there <close> = net.connect(server:address())
          socket:write(("HTTP/1.1 %s\r\n%s\r\n"):format(status, fields))
          local back = task.spawn(pcall, function()
            for bytes in function() return there:read(65536, WAIT) end do socket:write(bytes) end
            socket:shutdown()
          end)
          for bytes in function() return socket:read(65536, WAIT) end do there:write(bytes) end
          back:cancel()
        end, function(proxy)
          local got = http.get("https://localhost:" .. server:address():match "%d+$" .. "/", { proxy = proxy, ca = certs.ca, timeout = 60, connect_timeout = 60 })
          assert.equal("ok", got.body, fields)
          assert.is_true(got.timings.proxy > 0 and got.timings.tls > 0)
        end)
      end
    end
    acceptor:cancel()
    pcall(acceptor.join, acceptor)
    server:close()
  end)

  it("is all that a proxy may say", function()
    for _, answer in ipairs { "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 101 Switching\r\n\r\n", "no HTTP\r\n\r\n", "HTTP/1.1 200 OK" } do
      proxying(function(socket) socket:write(answer) end, function(proxy)
        local e = outcome.failure(http.get, "https://far.invalid/", { proxy = proxy })
        assert.is_true(e.code == "EPROTO" or e.code == "ECONNRESET", tostring(e))
        assert.is_nil(e.response)
      end)
    end
  end)
end)
