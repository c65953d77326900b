-- SPDX-License-Identifier: MIT
-- What went on to another server, or to the same one twice, where it should not: a redirect took the client's certificate along, and the path of
-- a unix socket to which the other server's requests were then sent; a POST that had been answered with a redirect was sent again when
-- what it led to could not be reached. And what stayed behind: a response that was refused kept its connection until it was collected.
local certificates = require "net.certificates"
local fs = require "green.fs"
local http = require "green.http"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 20 -- seconds; nothing takes that long unless it is broken

describe("a redirect to another server", function()
  local certs
  lazy_setup(function() certs = certificates() end)
  lazy_teardown(function() certs:close() end)

  -- A TLS server that answers one request with `head` and a body that says whether a certificate was shown; its URL.
  local function serve(location, fn)
    local site = { cert = certs.site.cert, key = certs.site.key, client_ca = certs.ca, verify_client = "optional" }
    local listener <close> = net.listen("127.0.0.1:0", { tls = site })
    local shown
    local server = task.spawn(function()
      local socket <close> = listener:accept()
      socket:read(4096)
      shown = socket:tls().peer and true or false
      socket:write(location and ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(location) or "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      socket:read(4096)
    end)
    fn("https://" .. listener:address() .. "/")
    server:cancel()
    pcall(server.join, server)
    return shown
  end

  it("is shown no certificate of ours", function()
    local at_first, at_second
    at_second = serve(nil, function(second)
      at_first = serve(second, function(first)
        local got <close> = http.get(first, { ca = certs.ca, tls = { cert = certs.client.cert, key = certs.client.key }, keep_alive = false, timeout = WAIT })
        assert.equal(200, got.status)
      end)
    end)
    assert.same({ true, false }, { at_first, at_second })
  end)

  it("does not lead into the unix socket", function()
    local dir <close> = fs.temp_dir()
    local path, seen = fs.join(dir.path, "sock"), {}
    local server = native.listen("unix:" .. path, function(req)
      seen[#seen + 1] = req.headers.host .. req.target
      if req.target == "/near" then return response.redirect "http://inside.test/there" end
      if req.target == "/far" then return response.redirect "http://outside.test/there" end
      return "here"
    end)
    assert.equal("here", http.get("http://inside.test/near", { unix = path }).body)
    local e = failure(http.get, "http://inside.test/far", { unix = path })
    assert.equal("EINVAL", e.code)
    assert.matches("http://outside%.test:80", e.message)
    assert.same({ "inside.test/near", "inside.test/there", "inside.test/far" }, seen)
    require "green.http.transport".close_idle()
    server:abort()
    server:finish(WAIT)
  end)
end)

describe("a POST that was answered", function()
  it("is not sent again when the redirect's target cannot be reached", function()
    local count = 0
    local listener = net.listen "127.0.0.1:0"
    local nobody = "http://" .. listener:address() .. "/"
    listener:close()
    raw.serve(function()
      count = count + 1
      return response.redirect(nobody, 303)
    end, nil, function(address)
      assert.equal("ECONNREFUSED", failure(http.post, "http://" .. address .. "/", { body = "x", retry = { backoff = 0.001 } }).code)
      assert.equal(1, count)
    end)
  end)
end)

describe("a streamed response that is refused", function()
  it("is closed at once", function()
    collectgarbage "stop"
    local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
    raw.serve(function()
      return response.stream(function(out) out:write(("x"):rep(8 << 20)) end, { headers = { ["content-encoding"] = "gzip, gzip, gzip, gzip, gzip, gzip" } })
    end, nil, function(address)
      local before = http.stats().connections
      assert.equal("EPROTO", failure(http.get, "http://" .. address .. "/", { stream = true, keep_alive = false }).code)
      assert.equal(before, http.stats().connections)
    end)
  end)
end)

describe("a proxy", function()
  it("may have an address of IPv6", function()
    local listener <close> = net.listen "[::1]:0"
    local server = task.spawn(function()
      local socket <close> = listener:accept()
      socket:write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n" .. (socket:read(4096):match "^GET http://h%.test/x " and "ok" or "no"))
      socket:read(4096)
    end)
    assert.equal("ok", http.get("http://h.test/x", { proxy = "http://" .. listener:address(), timeout = WAIT }).body)
    server:join()
  end)

  it("keeps its password out of messages", function()
    for _, url in ipairs { "http://me:secret@host:port", "socks5://me:secret@host", "me:secret@[x" } do
      local e = failure(http.get, "http://127.0.0.1:1/", { proxy = url })
      assert.equal("EINVAL", e.code)
      assert.is_nil(e.message:find("secret", 1, true), e.message)
    end
  end)
end)
