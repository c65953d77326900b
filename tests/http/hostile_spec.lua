-- SPDX-License-Identifier: MIT
-- A server that does to a client what it can: each byte of its answers cut, reset, stalled, one at a time, said twice; on new and
-- kept connections, plain and TLS. Whatever it does, the client says what happened, gives everything back, and serves the next.
-- Needs: node
local build = require "build"
local certificates = require "net.certificates"
local leaves_nothing = require "net.descriptors"
local outcome = require "outcome"
local task = require "green.task"
local transport = require "green.http.transport"

local failure = outcome.failure

local WAIT = 60 -- seconds; nothing takes that long unless it is broken
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local certs, node, pid, plain_port, tls_port

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- Asks the server to give these bytes in that way.
local function ask(secure, mode, bytes, at, options)
  local spec = {
    method = "GET", scheme = secure and "https" or "http", host = "127.0.0.1", port = secure and tls_port or plain_port, target = "/",
    url = "http://hostile/", collect = 1 << 20, timeouts = { total = WAIT }, headers = { "X-Mode", mode, "X-At", tostring(at or 0), "X-Answer", hex(bytes) },
    tls = secure and { ca = certs.ca } or nil,
  }
  for name, value in pairs(options or {}) do
    if name == "headers" then table.move(value, 1, #value, #spec.headers + 1, spec.headers) else spec[name] = value end
  end
  return transport.send(spec)
end

local GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

local function good(secure) assert.equal("good", ask(secure, "whole", GOOD).body) end

-- Well-formed answers: the bytes, the body, what the request was; `open`: it ends with the connection.
local ANSWERS = {
  { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", body = "hello" },
  { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", body = "hello world" },
  { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", body = "abc" },
  { "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", body = "" },
  { "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", body = "" },
  { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", body = "", method = "HEAD" },
  { "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", body = "" },
  { "HTTP/1.1 500\r\nContent-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nsad", body = "sad" },
  { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", body = "ok" },
  { "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold", body = "old" },
  { "HTTP/1.0 200 OK\r\n\r\nuntil the end", body = "until the end", open = true },
  { "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Tab:\t tab\t\r\n\r\nuntil the end", body = "until the end", open = true },
}

-- Each place in each of the answers, on plain connections and TLS.
local function each_place(visit)
  for _, secure in ipairs { false, true } do
    local list = {}
    for _, answer in ipairs(ANSWERS) do
      for at = 0, #answer[1] - 1 do list[#list + 1] = { answer, at } end
    end
    task.map(list, function(one) visit(secure, one[1], one[2]) end, { max = 64 })
  end
end

local function head_end(answer)
  local from = 1
  while answer:find("^HTTP/1.1 1", from) do from = select(2, answer:find("\r\n\r\n", from, true)) + 1 end
  return select(2, answer:find("\r\n\r\n", from, true))
end

-- What the task sees of a cut: an error that says where, unless the end of the connection is that of the answer.
local function check_cut(secure, answer, at, mode)
  local ok, e = pcall(ask, secure, mode, answer[1], at, { method = answer.method })
  local what = ("%s %s at %d of %q: %s"):format(mode, secure, at, answer[1], tostring(ok and e.body or e))
  local ends_open = answer.open and at >= head_end(answer[1])
  if ends_open and mode == "cut" then
    assert.is_true(ok, what)
    assert.equal(answer[1]:sub(head_end(answer[1]) + 1, at), e.body, what)
    return
  end
  assert.is_false(ok, what)
  local code = secure and mode == "chop" and ends_open and "ETRUNCATED" or "ECONNRESET" -- only TLS could have said that it is all
  assert.equal(code, e.code, what)
  assert.is_true(e.phase == "head" or e.phase == "body", what)
end

local function no_connections(kept)
  if not kept then transport.close_idle() end
  for _ = 1, 2000 do
    if transport.stats().connections == 0 then return end
    task.sleep(0.002)
  end
  assert.equal(0, transport.stats().connections)
end

describe("a hostile server", function()
  lazy_setup(function()
    certs = certificates()
    node = io.popen(("exec node %shostile.js %s %s"):format(here, certs.site.key, certs.site.cert))
    pid, plain_port, tls_port = node:read("n", "n", "n")
  end)

  lazy_teardown(function()
    no_connections()
    os.execute("kill " .. pid)
    node:close()
    certs:close()
  end)

  after_each(no_connections)

  it("is understood when it behaves", leaves_nothing(function()
    for _, secure in ipairs { false, true } do
      for _, answer in ipairs(ANSWERS) do
        local got = ask(secure, answer.open and "close" or "whole", answer[1], 0, { method = answer.method })
        assert.equal(answer.body, got.body, answer[1])
      end
    end
    no_connections()
  end))

  it("is understood one byte at a time", leaves_nothing(function()
    for _, secure in ipairs { false, true } do
      task.map(ANSWERS, function(answer)
        if answer.open then return end
        assert.equal(answer.body, ask(secure, "drip", answer[1], 0, { method = answer.method }).body, answer[1])
      end)
    end
    no_connections()
  end))

  for _, mode in ipairs { "cut", "reset", "chop" } do
    it(("may %s at each byte"):format(mode), leaves_nothing(function()
      each_place(function(secure, answer, at)
        if mode ~= "chop" or secure then check_cut(secure, answer, at, mode) end
      end)
      good(false)
      good(true)
      no_connections()
    end))
  end

  it("may fall silent at each byte", leaves_nothing(function()
    each_place(function(secure, answer, at)
      if at % 5 ~= 0 then return end
      local e = failure(ask, secure, "stall", answer[1], at, { method = answer.method, timeouts = { total = WAIT, first_byte = 0.4, idle = 0.4 } })
      assert.equal("ETIMEDOUT", e.code, ("at %d of %q: %s"):format(at, answer[1], tostring(e)))
      assert.is_true(e.phase == "head" or (e.phase == "body" and at >= head_end(answer[1])), e.phase)
    end)
    good(false)
    no_connections()
  end))

  -- What is said twice must not become the answer to the next request.
  for _, mode in ipairs { "twice", "again" } do
    it(("may say it %s"):format(mode), function()
      for _, secure in ipairs { false, true } do
        for _, answer in ipairs(ANSWERS) do
          if not answer.open then
            transport.close_idle()
            assert.equal(answer.body, ask(secure, mode, answer[1], 0, { method = answer.method }).body, answer[1])
            if mode == "again" then no_connections(true) end -- what comes unasked ends the connection
            for _ = 1, 3 do good(secure) end
          end
        end
      end
    end)
  end

  it("may send a body with what has none", function()
    for _, head in ipairs { "HTTP/1.1 204 No Content\r\nContent-Length: 41\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n" } do
      assert.equal("", ask(false, "whole", head .. "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").body)
      good(false)
    end
  end)

  -- { bytes, code, what the message says }
  local MALFORMED = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", "Content%-Length" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "ransfer" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "ransfer" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "ransfer" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", "ransfer" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\nhello", "ransfer" },
    { "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0" },
    { "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "folded" },
    { "HTTP/1.1 200 OK\r\n X: a\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\nX: a\n\n", "" },
    { "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nX\0: b\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "" },
    { "HTTP/1.1 200 OK\r\n: no name\r\n\r\n", "" },
    { "HTTP/1.1 200 O\0K\r\n\r\n", "malformed" },
    { "HTTP/1.1  200 OK\r\n\r\n", "malformed" },
    { "HTTP/1.1 20 OK\r\n\r\n", "malformed" },
    { "HTTP/1.1 2000 OK\r\n\r\n", "malformed" },
    { "HTTP/1.1 099 OK\r\n\r\n", "malformed" },
    { "HTTP/1.1\t200 OK\r\n\r\n", "malformed" },
    { "HTTP/2.0 200 OK\r\n\r\n", "HTTP" },
    { "http/1.1 200 OK\r\n\r\n", "HTTP/1" },
    { "HTTP/1.x 200 OK\r\n\r\n", "malformed" },
    { "ICY 200 OK\r\n\r\n", "HTTP/1" },
    { "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1" },
    { "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1" },
    { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocols" },
  }
  for _, body in ipairs {
    "5\nhello\r\n0\r\n\r\n", "G\r\n", "\r\n", "-1\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "ffffffffffffffffff\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "0\r\nX: a\n\r\n", "0\r\nX : a\r\n\r\n", "0\r\nX: a\r\n b\r\n\r\n", "0\r\nX\0: a\r\n\r\n", "0\n\n",
  } do MALFORMED[#MALFORMED + 1] = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. body, "" } end

  it("may send what is no HTTP", leaves_nothing(function()
    for _, mode in ipairs { "whole", "drip" } do
      for _, case in ipairs(MALFORMED) do
        local ok, e = pcall(ask, false, mode, case[1])
        assert.is_false(ok, ("%q was taken for an answer"):format(case[1]))
        assert.equal("EPROTO", e.code, ("%q: %s"):format(case[1], tostring(e)))
        assert.matches(case[2], e.message, 1)
      end
    end
    good(false)
    no_connections()
  end))

  it("may never stop", leaves_nothing(function()
    local endless = {
      { "HTTP/1.1 200 ", "x", "head" }, { "HTTP/1.1 200 OK\r\n", "X-Filler: 1\r\n", "head" }, { "HTTP/1.1 200 OK\r\nX", "y", "head" },
      { "HTTP/1.1 200 OK\r\nX: ", "y", "head" }, { "", "HTTP/1.1 100 Continue\r\n\r\n", "head" },
      { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "extension", "framing" },
      { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", "trailers" },
      { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", "y", "trailers" },
      { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "max_body" },
      { "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "x", "max_body" }, { "HTTP/1.1 200 OK\r\n\r\n", "x", "max_body" },
    }
    for _, case in ipairs(endless) do
      local e = failure(ask, false, "forever", case[1] .. case[2], #case[1], { collect = 100000 })
      assert.equal("EMSGSIZE", e.code, case[1] .. tostring(e))
      assert.matches(case[3], e.message)
    end
    no_connections()
  end))

  it("may answer before it was asked to the end", function()
    local denied = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
    for _, secure in ipairs { false, true } do
      for _, mode in ipairs { "whole", "close" } do
        local early = { method = "POST", headers = { "X-Early", "1", "X-Sink", "1" }, body = ("x"):rep(20 << 20) }
        local got = ask(secure, mode, denied, 0, early)
        assert.same({ 401, "no" }, { got.status, got.body })
        local pieces = 0
        early.body = function()
          pieces = pieces + 1
          return pieces < 4000 and ("x"):rep(65536) or nil
        end
        got = ask(secure, mode, denied, 0, early)
        assert.same({ 401, "no" }, { got.status, got.body })
        assert.is_true(pieces < 4000, pieces)
      end
    end
  end)

  it("is not sent a body it did not want", function()
    local sent = ask(false, "whole", GOOD, 0, { method = "POST", expect = true, body = "abc", headers = { "X-Early", "1" } })
    assert.equal("good", sent.body)
    no_connections()
  end)

  -- A connection that the server closes while it is kept: what is safe is sent again, what is not is not sent at all.
  it("may close what looks kept", function()
    for _, secure in ipairs { false, true } do
      for _ = 1, 30 do
        assert.equal("good", ask(secure, "close", GOOD).body)
        good(secure)
      end
    end
  end)

  it("may be given up at any moment", leaves_nothing(function()
    local answer = ANSWERS[2][1]
    for _, secure in ipairs { false, true } do
      for turns = 0, 12 do
        for _, kept in ipairs { false, true } do
          if kept then good(secure) else transport.close_idle() end
          local one = task.spawn(pcall, ask, secure, "stall", answer, 60, { timeouts = {} })
          for _ = 1, turns do task.sleep(0) end
          one:cancel()
          pcall(one.join, one)
        end
      end
    end
    good(false)
    no_connections()
  end))

  it("may be asked by many, who all give up", leaves_nothing(function()
    local many = build.sanitized and 500 or 2000
    local tasks = {}
    for i = 1, many do tasks[i] = task.spawn(pcall, ask, false, "stall", GOOD, 20, { timeouts = {} }) end
    for _ = 1, 20 do task.sleep(0.001) end
    for i = 1, many do tasks[i]:cancel() end
    for i = 1, many do pcall(tasks[i].join, tasks[i]) end
    assert.equal(0, transport.stats().waiting)
    good(false)
    no_connections()
  end))
end)
