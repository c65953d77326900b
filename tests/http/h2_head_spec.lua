-- SPDX-License-Identifier: MIT
-- The rules of the head of a request of HTTP/2 (RFC 9113, 8.3): what is malformed resets the stream, what is refused is answered.
local h2 = require "http.h2"

local GET = h2.get

local function echo(req) return ("%s %s %s [%s]"):format(req.method, req.target, req.version, req:body()) end

describe("the head of a request", function()
  -- What comes of requests with these fields: a status, or "reset" with a code.
  local function outcome(client, stream, fields, body)
    client:send(h2.headers(stream, fields, body and 0 or h2.END_STREAM), body and h2.frame(h2.DATA, h2.END_STREAM, stream, body) or "")
    local answer = client:answer(stream)
    return answer.reset and answer.reset ~= 0 and "reset " .. answer.reset or answer.status
  end

  local function with(...) return h2.fields("GET", "/", { ... }) end

  local malformed = {
    ["a name in upper case"] = with { "X-A", "1" },
    ["a connection"] = with { "connection", "close" },
    ["keep-alive"] = with { "keep-alive", "1" },
    ["transfer-encoding"] = with { "transfer-encoding", "chunked" },
    ["upgrade"] = with { "upgrade", "websocket" },
    ["proxy-connection"] = with { "proxy-connection", "close" },
    ["te other than trailers"] = with { "te", "gzip" },
    ["an unknown field in front"] = with { ":x", "1" },
    ["a field of a response"] = with { ":status", "200" },
    ["a field in front, behind others"] = { { ":method", "GET" }, { ":scheme", "http" }, { "x-a", "1" }, { ":path", "/" }, { ":authority", "a" } },
    ["two paths"] = with { ":path", "/" },
    ["no path"] = { { ":method", "GET" }, { ":scheme", "http" }, { ":authority", "a" } },
    ["an empty path"] = h2.fields("GET", ""),
    ["no method"] = { { ":path", "/" }, { ":scheme", "http" }, { ":authority", "a" } },
    ["no scheme"] = { { ":method", "GET" }, { ":path", "/" }, { ":authority", "a" } },
    ["no host"] = { { ":method", "GET" }, { ":path", "/" }, { ":scheme", "http" } },
    ["a path that is none"] = h2.fields("GET", "x"),
    ["an asterisk that is not of OPTIONS"] = h2.fields("GET", "*"),
    ["a body that is longer than its length"] = { h2.fields("POST", "/", { { "content-length", "1" } }), "12" },
    ["a body that is shorter"] = { h2.fields("POST", "/", { { "content-length", "3" } }), "12" },
    ["a length and no body"] = h2.fields("POST", "/", { { "content-length", "3" } }),
    ["two lengths"] = { h2.fields("POST", "/", { { "content-length", "2" }, { "content-length", "2" } }), "12" },
    ["a blank in the path"] = h2.fields("GET", "/a b"),
    ["a smuggled line in the path"] = h2.fields("GET", "/ HTTP/1.1\r\nX: y"),
    ["a method with a blank"] = h2.fields("G ET", "/"),
    ["two Hosts"] = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { "host", "a" }, { "host", "b" } },
    ["two Hosts that are the same"] = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { "host", "a" }, { "host", "a" } },
    ["an :authority and two Hosts"] = with({ "host", "a" }, { "host", "a" }),
    ["a length that is none"] = { h2.fields("POST", "/", { { "content-length", "+2" } }), "12" },
  }

  for what, fields in pairs(malformed) do
    it("is malformed with " .. what, function()
      h2.serve(function() error "it reached the handler" end, {}, function(address)
        local client <close> = h2.connect(address)
        local body = type(fields[2]) == "string" and fields[2] or nil
        assert.equal("reset " .. h2.PROTOCOL_ERROR, outcome(client, 1, body and fields[1] or fields, body))
      end)
    end)
  end

  it("is malformed with a length that the body exceeds, while the handler reads it", function()
    local seen
    local function handler(req)
      local ok, err = pcall(req.body, req)
      seen = { ok, err.code }
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/", { { "content-length", "2" } })))
      client:send(h2.frame(h2.DATA, 0, 1, "123"))
      assert.equal(h2.PROTOCOL_ERROR, client:answer(1).reset)
      h2.eventually(function() return seen end)
      assert.same({ false, "EPROTO" }, seen)
    end)
  end)

  local refused = {
    ["a byte beyond ASCII in the path"] = { 400, h2.fields("GET", "/\xc3\xa4") },
    ["a fragment"] = { 400, h2.fields("GET", "/#a") },
    ["a backslash"] = { 400, h2.fields("GET", "/a\\b") },
    ["a scheme that nobody knows"] = { 400, { { ":method", "GET" }, { ":scheme", "ftp" }, { ":path", "/" }, { ":authority", "a" } } },
    ["a Host that is not the :authority"] = { 400, with { "host", "b" } },
    ["an :authority that is no host"] = { 400, { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a,b" } } },
    ["somebody's name in the :authority"] = { 400, { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "me@a" } } },
    ["a control character in a value"] = { 400, with { "x-a", "1\r\nb: 2" } },
    ["a NUL in a value"] = { 400, with { "x-a", "1\0" } },
    ["two content types"] = { 400, with({ "content-type", "a/b" }, { "content-type", "a/b" }) },
    ["CONNECT"] = { 501, { { ":method", "CONNECT" }, { ":authority", "a:1" } } },
    ["TRACE"] = { 501, h2.fields("TRACE", "/") },
    ["an expectation that nobody knows"] = { 417, with { "expect", "more" } },
    ["a long path"] = { 414, h2.fields("GET", "/" .. ("p"):rep(9000)) },
    ["much"] = { 431, with { "x-a", ("v"):rep(17000) } },
  }

  for what, case in pairs(refused) do
    it("is refused with " .. what, function()
      h2.serve(function(req) return "it reached the handler: " .. req.target end, {}, function(address)
        local client <close> = h2.connect(address)
        assert.equal(case[1], outcome(client, 1, case[2]))
        assert.equal(200, outcome(client, 3, h2.fields("GET", "/"))) -- the connection goes on
      end)
    end)
  end

  it("is refused with too many fields", function()
    h2.serve(echo, { max_headers = 10 }, function(address)
      local fields = {}
      for i = 1, 10 do fields[i] = { "x-" .. i, "v" } end
      assert.equal(431, h2.ask(address, GET(1, "/", fields)).status)
    end)
  end)

  it("may come in pieces, with priorities and padding", function()
    h2.serve(echo, {}, function(address)
      local client <close> = h2.connect(address)
      local block = h2.block(h2.fields("GET", "/c", { { "x-a", ("v"):rep(3000) } }))
      client:send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.PADDED | 0x20, 1, "\4\0\0\0\0\16" .. block:sub(1, 20) .. "\0\0\0\0"),
        h2.frame(h2.CONTINUATION, 0, 1, block:sub(21, 40)), h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, block:sub(41)))
      assert.equal("GET /c 2 []", client:answer(1).body)
    end)
  end)

  it("knows names with underscores only if they are wanted", function()
    local function handler(req) return req.headers.x_a or "none" end
    for wanted, body in pairs { [true] = "1", [false] = "none" } do
      h2.serve(handler, { underscore_headers = wanted }, function(address)
        assert.equal(body, h2.ask(address, GET(1, "/", { { "x_a", "1" } })).body)
      end)
    end
  end)
end)
