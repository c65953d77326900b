-- SPDX-License-Identifier: MIT
-- Bodies out: pieces of a function, forms with files; and what is said when they are not what they were said to be.
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"
require "green.app" -- requests have parts() then

local failure = outcome.failure

-- Tells what came: how many bytes, the length that was said, and the parts of a form.
local function tell(req)
  if (req.headers["content-type"] or ""):find("multipart", 1, true) then
    local list = {}
    for part in req:parts() do
      local size = 0
      for piece in part:chunks() do size = size + #piece end
      list[#list + 1] = { part.name, part.filename or false, part.headers["content-type"] or false, size }
    end
    return { parts = list, length = req.headers["content-length"] }
  end
  local size = 0
  for piece in req:chunks() do size = size + #piece end
  return { size = size, length = req.headers["content-length"], coding = req.headers["transfer-encoding"], expect = req.headers.expect }
end

local function serve(handler, fn) raw.serve(handler, { max_body = 1 << 30 }, function(address) fn("http://" .. address .. "/") end) end

local function pieces(n, size)
  return function()
    n = n - 1
    return n >= 0 and ("x"):rep(size) or nil
  end
end

describe("a body that a function gives", function()
  it("goes out in chunks, or with its length", function()
    serve(tell, function(url)
      assert.same({ size = 30, coding = "chunked" }, http.post(url, { body = pieces(3, 10) }):json())
      assert.same({ size = 30, length = "30" }, http.post(url, { body = pieces(3, 10), length = 30 }):json())
      assert.same({ size = 0, coding = "chunked" }, http.put(url, { body = pieces(0, 1) }):json())
      assert.same(20 << 20, http.post(url, { body = pieces(320, 65536), timeout = 60 }):json().size)
    end)
  end)

  it("may wait", function()
    serve(tell, function(url)
      local next = pieces(3, 10)
      assert.equal(30, http.post(url, { body = function() task.sleep(0.001) return next() end }):json().size)
    end)
  end)

  it("is asked no faster than the server reads", function()
    local go = task.channel(1)
    serve(function(req)
      go:receive(20)
      return tell(req)
    end, function(url)
      local given, next = 0, pieces(1000, 65536)
      local sending = task.spawn(http.post, url, { timeout = 60, body = function() given = given + 65536 return next() end })
      local before
      repeat
        before = given
        task.sleep(0.05)
      until given == before and given > 0
      assert.is_true(given < 32 << 20, given)
      go:send(true)
      assert.equal(1000 * 65536, sending:join():json().size)
    end)
  end)

  it("fails with what the function raises, or when it gives something else than was said", function()
    serve(tell, function(url)
      assert.matches("on purpose", tostring(failure(http.post, url, { body = function() error "on purpose" end })))
      for _, length in ipairs { 29, 31 } do assert.is_truthy(failure(http.post, url, { body = pieces(3, 10), length = length })) end
      assert.is_truthy(failure(http.post, url, { body = function() return 5 end }))
      assert.matches("'length'", tostring(failure(http.post, url, { body = "x", length = 1 })))
    end)
  end)

  it("is not sent again", function()
    serve(function(req)
      tell(req)
      return response.status(307, { location = "/" })
    end, function(url)
      local e = failure(http.post, url, { body = pieces(1, 1) })
      assert.same({ "EINVAL", true }, { e.code, e.message:find("second time", 1, true) ~= nil })
    end)
  end)
end)

describe("an expectation", function()
  local function peers(answers, use)
    local heads = {}
    local listener <close> = net.listen "127.0.0.1:0"
    local acceptor = task.spawn(function()
      while true do
        local socket <close> = listener:accept()
        local all = ""
        while not all:find("\r\n\r\n", 1, true) do all = all .. assert(socket:read(65536, 20)) end
        heads[#heads + 1] = all:match "^(.-)\r\n\r\n"
        pcall(answers[#heads], socket, all:match "\r\n\r\n(.*)$")
      end
    end)
    local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address() .. "/", heads)
    acceptor:cancel()
    pcall(acceptor.join, acceptor)
    assert(ok, e)
  end

  local function read_all(socket, rest, n)
    while #rest < n do rest = rest .. assert(socket:read(65536, 20)) end
    return rest
  end

  local function fail(socket) socket:write "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" end

  local function taking(n)
    return function(socket, rest)
      read_all(socket, rest, n)
      socket:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    end
  end

  it("is nobody's who has not asked for it, however large the body is", function()
    peers({ taking(3 << 20), taking(3 << 20) }, function(url, heads)
      assert.equal("ok", http.put(url, { body = ("x"):rep(3 << 20) }).body)
      assert.equal("ok", http.put(url, { body = pieces(48, 65536), length = 3 << 20 }).body)
      for _, head in ipairs(heads) do assert.is_nil(head:lower():find("expect", 1, true)) end
    end)
  end)

  it("is given up when the server does not meet it", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/a.txt", "abc")
    local given = 0
    for _, body in ipairs { "abc", { file = dir.path .. "/a.txt" }, function()
      given = given + 1
      return given == 1 and "abc" or nil
    end } do
      peers({ fail, taking(3) }, function(url, heads)
        assert.equal("ok", http.post(url, { body = body, length = type(body) == "function" and 3 or nil, expect = true }).body)
        assert.equal(2, #heads)
        assert.is_truthy(heads[1]:find("Expect: 100-continue", 1, true))
        assert.is_nil(heads[2]:find("Expect", 1, true))
      end)
    end
    peers({ fail, fail }, function(url, heads) -- once, not for ever
      assert.equal(417, http.client({ expect = true }):post(url, { body = "abc" }).status)
      assert.equal(2, #heads)
    end)
    peers({ fail }, function(url) assert.equal(417, http.post(url, { body = "abc" }).status) end) -- it had none
  end)

  it("stands when the body was asked for, and cannot be given again", function()
    local function late(socket, rest)
      socket:write "HTTP/1.1 100 Continue\r\n\r\n"
      read_all(socket, rest, 3)
      fail(socket)
    end
    peers({ late, taking(3) }, function(url, heads)
      assert.equal(417, http.post(url, { body = pieces(1, 3), length = 3, expect = true }).status)
      assert.equal(1, #heads)
    end)
  end)

  it("is refused without a body, and is a client's for the requests that have one", function()
    assert.matches("http.get: option 'expect': there is no body", tostring(failure(http.get, "http://h.invalid/", { expect = true })))
    serve(tell, function(url)
      local client = http.client { expect = true }
      assert.is_nil(client:get(url):json().expect)
      assert.equal(200, client:post(url, { body = "" }).status)
    end)
  end)
end)

describe("TLS options", function()
  it("are refused where no connection can be one by TLS", function()
    for name, value in pairs { ca = "x.pem", tls = { server_name = "h" } } do
      local function given(more)
        more[name] = value
        return more
      end
      local why = ("option '%s': the URL is http://, and no redirect is followed"):format(name)
      for _, off in ipairs { 0, false } do
        local e = failure(http.get, "http://h.invalid/", given { redirects = off })
        assert.same({ "EINVAL", "request", "http.get: " .. why }, { e.code, e.phase, e.message })
        assert.equal("http.client: " .. why, failure(http.client, given { base_url = "http://h.invalid/", redirects = off }).message)
      end
      assert.equal("response.proxy: " .. why, failure(response.proxy, "http://h.invalid/", given {}).message)
      serve(tell, function(url) assert.equal(200, http.get(url, given {}).status) end) -- a redirect may lead to https
      assert.is_truthy(http.client(given { base_url = "https://h.invalid/", redirects = false }))
    end
  end)
end)

describe("a form with files", function()
  it("is read from them while it is sent, and its length is known", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/a.txt", ("t"):rep(200000))
    fs.write(dir.path .. "/empty", "")
    serve(tell, function(url)
      local seen = http.post(url, { multipart = {
        { name = "plain", value = "v" }, { name = "one", file = dir.path .. "/a.txt" }, { name = "two", file = dir.path .. "/empty", filename = "x.png", type = "a/b" },
        { name = "three", contents = "c", filename = "c.json" },
      } }):json()
      assert.same({ { "plain", false, false, 1 }, { "one", "a.txt", "text/plain; charset=utf-8", 200000 }, { "two", "x.png", "a/b", 0 }, { "three", "c.json", "application/json", 1 } }, seen.parts)
      assert.is_true(tonumber(seen.length) > 200000)
    end)
  end)

  it("is sent again where a redirect or a retry has it", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/a.txt", "text")
    local tries = 0
    serve(function(req)
      tries = tries + 1
      local seen = tell(req)
      if tries == 1 then return response.status(503) end
      if tries == 2 then return response.status(307, { location = "/again" }) end
      return seen
    end, function(url)
      local form = { { name = "one", file = dir.path .. "/a.txt" } }
      assert.same({ { "one", "a.txt", "text/plain; charset=utf-8", 4 } }, http.put(url, { multipart = form, retry = { backoff = 0 } }):json().parts)
      assert.equal(3, tries)
    end)
  end)

  it("fails for a file that is not there, is none, or becomes shorter", function()
    local dir <close> = fs.temp_dir()
    serve(tell, function(url)
      assert.equal("ENOENT", failure(http.post, url, { multipart = { { name = "a", file = dir.path .. "/none" } } }).code)
      assert.equal("EINVAL", failure(http.post, url, { multipart = { { name = "a", file = dir.path } } }).code)
      fs.write(dir.path .. "/a.txt", ("x"):rep(100000))
      local form = { { name = "a", file = dir.path .. "/a.txt" }, { name = "b", file = dir.path .. "/a.txt" } }
      local content = require("green.http.body").encode("http.post", { multipart = form })
      fs.write(dir.path .. "/a.txt", "shorter")
      local source <close> = content.open()
      local function read() return source() end
      assert.is_truthy(failure(http.post, url, { body = read, length = content.length }))
    end)
    for pattern, part in pairs { ["unknown field 'path'"] = { name = "a", path = "x" }, ["name and value"] = { name = "a", value = 1, file = "x" }, ["multipart%[1%]"] = { value = "x" } } do
      assert.matches(pattern, tostring(failure(http.post, "http://h.invalid/", { multipart = { part } })))
    end
  end)
end)

describe("an answer", function()
  it("says how it came about", function()
    serve(tell, function(url)
      local got = http.get(url)
      assert.same({ "1.1", "http://" .. got.remote .. "/" }, { got.version, url })
      assert.is_true(got.timings.total > 0)
      assert.is_true(http.get(url).reused)
      local stats = http.stats()
      assert.is_true(stats.requests >= 2 and stats.reused >= 1 and stats.connections >= 1)
    end)
  end)

  it("is not asked of private addresses for strangers", function()
    serve(tell, function(url)
      assert.equal("EACCES", failure(http.get, url, { deny_private = true }).code)
      assert.equal("EACCES", failure(http.get, (url:gsub("127.0.0.1", "localhost")), { deny_private = true }).code)
      local e = failure(http.post, url, { deny_private = true, unix = "/run/nobody.sock" })
      assert.same({ "EACCES", "http.post" }, { e.code, e.op })
    end)
  end)

  -- The proxy was silently unused.
  it("is refused when a unix socket and a proxy are to carry it", function()
    local proxy, unix = "http://127.0.0.1:1", "/run/nobody.sock"
    local client = http.client { proxy = proxy }
    local expected = "options 'unix' and 'proxy' exclude each other"
    assert.matches(expected, tostring(failure(http.get, "http://x/", { unix = unix, proxy = proxy })))
    assert.matches(expected, tostring(failure(client.get, client, "http://x/", { unix = unix })))
    assert.equal("ENOENT", failure(client.get, client, "http://x/", { unix = unix, proxy = false }).code)
  end)

  it("has times for its phases", function()
    local go = task.channel(1)
    serve(function()
      go:receive(20)
      return "late"
    end, function(url)
      local e = failure(http.get, url, { timeouts = { first_byte = 0.05 } })
      assert.same({ "ETIMEDOUT", true }, { e.code, e.message:find("answer", 1, true) ~= nil })
      go:send(true)
      assert.matches("unknown phase 'first'", tostring(failure(http.get, url, { timeouts = { first = 1 } })))
      assert.matches("unknown option 'pin'", tostring(failure(http.get, url, { tls = { pin = {} } })))
    end)
  end)
end)
