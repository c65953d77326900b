-- SPDX-License-Identifier: MIT
-- HTTP/2 by prior knowledge: requests and responses as streams. (h2_head_spec.lua: the rules of heads; h2_flow_spec.lua: bodies and windows;
-- h2_clock_spec.lua: time; h2_flood_spec.lua: clients that ask for too much.)
local h2 = require "http.h2"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local GET, POST = h2.get, h2.post

local function echo(req) return ("%s %s %s [%s]"):format(req.method, req.target, req.version, req:body()) end

describe("a connection of HTTP/2", function()
  it("serves what HTTP/1 serves, and says which it is", function()
    h2.serve(echo, {}, function(address)
      local answer = h2.ask(address, POST(1, "/a?b=%20", "body"))
      assert.equal(200, answer.status)
      assert.equal("POST /a?b=%20 2 [body]", answer.body)
      assert.equal("22", answer.headers["content-length"])
      assert.equal("text/plain; charset=utf-8", answer.headers["content-type"])
      assert.matches("^%a+, %d+ %a+ %d+ %d+:%d+:%d+ GMT$", answer.headers.date)
      assert.is_nil(answer.headers.connection)
      assert.equal("GET / 1.1 []", raw.ask(address, raw.GET).body)
    end)
  end)

  it("gives handlers the fields, the host, the cookies and the peer", function()
    local function handler(req)
      return { req.headers.host, req.headers["x-a"], req.headers.cookie, req.remote, req.scheme, tostring(req.tls), req.headers[":path"] or "none" }
    end
    h2.serve(handler, {}, function(address)
      local answer = h2.ask(address, GET(1, "/", { { "x-a", "1" }, { "cookie", "a=1" }, { "x-a", "2" }, { "cookie", "b=2" } }))
      assert.matches('^%["a","1, 2","a=1; b=2","127.0.0.1:%d+","http","nil","none"%]$', answer.body)
    end)
  end)

  it("takes a Host where there is no :authority, in whatever order fields in front come", function()
    h2.serve(function(req) return req.headers.host .. req.target end, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, { { ":path", "/p" }, { ":scheme", "http" }, { ":method", "GET" }, { "host", "b" } }, h2.END_STREAM))
      assert.equal("b/p", client:answer(1).body)
      client:send(h2.headers(3, { { ":authority", "c" }, { ":scheme", "http" }, { ":method", "GET" }, { ":path", "/q" }, { "host", "C" } }, h2.END_STREAM))
      assert.equal("c/q", client:answer(3).body)
    end)
  end)

  it("answers many streams at once, each when it is ready", function()
    local gates = {}
    local function handler(req)
      local gate = task.channel(1)
      gates[req.path] = gate
      gate:receive()
      return req.path
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      for i = 1, 99, 2 do client:send(GET(i, "/" .. i)) end
      h2.eventually(function() return gates["/99"] end)
      for i = 99, 1, -2 do
        gates["/" .. i]:send(true)
        assert.equal("/" .. i, client:answer(i).body)
      end
    end)
  end)

  it("reads the same, byte by byte and in random pieces", function()
    local bytes = h2.PREFACE .. h2.settings() .. POST(1, "/x", ("b"):rep(300), { { "x-a", ("v"):rep(100) } }) ..
      h2.headers(3, h2.fields("POST", "/y")) .. h2.frame(h2.DATA, 0, 3, "one") .. h2.frame(h2.DATA, h2.PADDED, 3, "\3two\0\0\0") ..
      h2.headers(3, { { "x-sum", "7" } }, h2.END_STREAM) .. h2.frame(h2.PING, 0, 0, "12345678") .. GET(5, "/z")
    local function handler(req) return ("%s [%s] %s"):format(req.target, req:body(), (req:trailers() or {})["x-sum"] or "none") end
    h2.serve(handler, {}, function(address)
      local function try(cut)
        local client <close> = h2.bare(address)
        local at = 1
        while at <= #bytes do
          local n = cut()
          client.socket:write(bytes:sub(at, at + n - 1))
          at = at + n
          task.sleep(0)
        end
        assert.equal(("/x [%s] none"):format(("b"):rep(300)), client:answer(1).body)
        assert.equal("/y [onetwo] 7", client:answer(3).body)
        assert.equal("/z [] none", client:answer(5).body)
        assert.equal(1, client.pings)
      end
      try(function() return 1 end)
      try(function() return #bytes end)
      for _ = 1, 30 do try(function() return math.random(1, 200) end) end
    end)
  end)

  it("is not begun by anything but the preface, nor after a request", function()
    h2.serve(echo, {}, function(address)
      for _, bytes in ipairs { "PRI * HTTP/3.0\r\n\r\n", "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI / HTTP/2.0\r\n\r\n", "GET * HTTP/2.0\r\n\r\n",
        "PRX * HTTP/2.0\r\n\r\n" } do
        assert.equal(505, raw.ask(address, bytes).status, bytes)
      end
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      assert.equal(200, client:answer().status)
      client:send(h2.PREFACE)
      assert.equal(505, client:answer().status)
      local wrong <close> = h2.bare(address)
      wrong:send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", h2.settings())
      assert.equal(h2.PROTOCOL_ERROR, wrong:rest())
    end)
  end)

  it("is not spoken by a server that shall not", function()
    h2.serve(echo, { http2 = false }, function(address)
      assert.equal(505, raw.ask(address, h2.PREFACE).status)
    end)
  end)
end)

describe("behind and before a proxy, HTTP/2", function()
  it("has the host of its :authority, and what trusted proxies say", function()
    local function tell(req) return ("%s %s %s"):format(req.remote:gsub("^127%.0%.0%.1:%d+$", "peer"), req.scheme, req.host) end
    local said = { { "x-forwarded-for", "6.6.6.6, 1.2.3.4" }, { "x-forwarded-proto", "https" }, { "x-forwarded-host", "front.example" } }
    local function forged(stream) -- a client may say that it asks for https in the clear: it does not
      return h2.headers(stream, { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/" }, { ":authority", "own.example:8080" }, table.unpack(said) }, h2.END_STREAM)
    end
    h2.serve(tell, {}, function(address)
      assert.equal("peer http a", h2.ask(address, GET(1, "/")).body)
      assert.equal("peer http own.example:8080", h2.ask(address, forged(1)).body)
    end)
    h2.serve(tell, { trusted_proxies = { "127.0.0.1" } }, function(address)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"), forged(3), GET(5, "/", said))
      assert.equal("peer http a", client:answer(1).body) -- each stream has its own
      assert.equal("1.2.3.4:0 https front.example", client:answer(3).body)
      assert.equal("1.2.3.4:0 https front.example", client:answer(5).body)
    end)
  end)

  it("follows a header of the PROXY protocol", function()
    h2.serve(function(req) return req.remote .. " " .. req.scheme end, { trusted_proxies = { "127.0.0.1" }, proxy_protocol = true }, function(address)
      for _, cut in ipairs { 1, 40, 1000 } do
        local client <close> = h2.bare(address)
        local bytes = "PROXY TCP4 192.0.2.7 127.0.0.1 5 443\r\n" .. h2.PREFACE .. h2.settings() .. GET(1, "/")
        for at = 1, #bytes, cut do client:send(bytes:sub(at, at + cut - 1)) end
        assert.equal("192.0.2.7:5 http", client:answer(1).body)
      end
    end)
  end)

  it("says whether a body follows", function()
    h2.serve(function(req) return tostring(req.has_body) end, {}, function(address)
      assert.equal("false", h2.ask(address, GET(1, "/")).body)
      assert.equal("true", h2.ask(address, POST(1, "/", "")).body)
      assert.equal("false", raw.ask(address, raw.GET).body)
      assert.equal("false", raw.ask(address, raw.post("/", "")).body)
      assert.equal("true", raw.ask(address, raw.chunked("/", { "a" })).body)
    end)
  end)

  it("becomes HTTP/1.1 without a seam", function()
    local function inner(req)
      return response.json { req.version, req.method, req.target, req.headers.host, req.headers["x-forwarded-host"], req.headers["transfer-encoding"] or "none",
        req.headers["content-length"] or "none", req:body(), (req:trailers() or {})["x-sum"] or "none", req.headers.te or "none", req.headers.cookie or "none" }
    end
    raw.serve(inner, {}, function(inside)
      h2.serve(function() return response.proxy("http://" .. inside) end, {}, function(address)
        local client <close> = h2.connect(address)
        client:send(GET(1, "/a?b", { { "cookie", "a=1" }, { "cookie", "b=2" } }), POST(3, "/", "body"), POST(5, "/", "body", { { "content-length", "4" } }))
        client:send(h2.headers(7, h2.fields("POST", "/", { { "te", "trailers" } })), h2.frame(h2.DATA, 0, 7, "body"), h2.headers(7, { { "x-sum", "7" } }, h2.END_STREAM))
        local function got(stream) return (client:answer(stream).body:gsub(inside, "inside", 1)) end
        assert.equal('["1.1","GET","/a?b","inside","a","none","none","","none","none","a=1; b=2"]', got(1))
        assert.equal('["1.1","POST","/","inside","a","chunked","none","body","none","none","none"]', got(3))
        assert.equal('["1.1","POST","/","inside","a","none","4","body","none","none","none"]', got(5))
        assert.equal('["1.1","POST","/","inside","a","chunked","none","body","7","trailers","none"]', got(7))
      end)
    end)
  end)
end)

describe("a response of HTTP/2", function()
  local function answer_of(handler, request, options)
    local got
    h2.serve(handler, options or {}, function(address) got = h2.ask(address, request or GET(1, "/")) end)
    return got
  end

  it("has no body to HEAD, and of 204 and 304", function()
    local answer = answer_of(function() return "12345" end, h2.headers(1, h2.fields("HEAD", "/"), h2.END_STREAM))
    assert.equal("5", answer.headers["content-length"])
    assert.equal("", answer.body)
    assert.equal(0, answer.frames)
    assert.equal(204, answer_of(function() end).status)
    local same = answer_of(function()
      local res = response.text("x", 304)
      res:header("etag", '"a"')
      return res
    end)
    assert.equal(304, same.status)
    assert.equal("", same.body)
    assert.equal('"a"', same.headers.etag)
  end)

  it("has an empty body", function()
    local answer = answer_of(function() return "" end)
    assert.same({ 200, "", "0" }, { answer.status, answer.body, answer.headers["content-length"] })
  end)

  it("has many fields, in lower case, and none that is about a connection", function()
    local answer = answer_of(function()
      local res = response.text "x"
      for i = 1, 60 do res:header("X-Field-" .. i, "v" .. i) end
      res:header("Connection", "close")
      res:header("Keep-Alive", "timeout=5")
      res:header("Upgrade", "h2c")
      res:header("Proxy-Connection", "close")
      return res
    end)
    assert.equal("v60", answer.headers["x-field-60"])
    for _, name in ipairs { "connection", "keep-alive", "upgrade", "proxy-connection" } do assert.is_nil(answer.headers[name]) end
  end)

  it("streams in pieces, with trailers", function()
    local answer = answer_of(function()
      return response.stream(function(out)
        for i = 1, 3 do
          out:write("piece" .. i)
          task.sleep(0.001)
        end
        out:trailers { ["X-Sum"] = "7" }
      end)
    end)
    assert.equal("piece1piece2piece3", answer.body)
    assert.is_nil(answer.headers["content-length"])
    assert.equal("7", answer.trailers["x-sum"])
    assert.is_true(answer.ended)
  end)

  it("is whole when a stream writes nothing", function()
    local answer = answer_of(function() return response.stream(function() end) end)
    assert.same({ 200, "", true }, { answer.status, answer.body, answer.ended })
    local trailed = answer_of(function() return response.stream(function(out) out:trailers { ["x-a"] = "1" } end) end)
    assert.same({ 200, "", "1" }, { trailed.status, trailed.body, trailed.trailers["x-a"] })
  end)

  it("is an error's if the stream fails before its first byte, and cut if it fails later", function()
    local out, err = h2.script [[
      local h2 = require "http.h2"
      local response = require "green.response"
      local function handler(req)
        return response.stream(function(out)
          if req.path == "/later" then out:write "begun" end
          error "it broke"
        end)
      end
      h2.serve(handler, {}, function(address)
        local client <close> = h2.connect(address)
        client:send(h2.get(1, "/"), h2.get(3, "/later"))
        print(client:answer(1).status, client:answer(1).body)
        print(client:answer(3).status, client:answer(3).reset, client:answer(3).ended)
        client:send(h2.get(5, "/"))
        print(client:answer(5).status)
      end)
    ]]
    assert.matches('^500\t{"error":"internal server error"}\n\n', out)
    assert.matches("%d*\t2\tnil\n500\n$", out)
    assert.matches("it broke", err)
  end)

  it("cannot be longer or shorter than it says", function()
    local out = h2.script [[
      local h2 = require "http.h2"
      local response = require "green.response"
      local function handler(req)
        local res = response.stream(function(out)
          print(pcall(out.write, out, req.path == "/long" and "123456" or "1234"))
        end)
        res:header("content-length", "5")
        return res
      end
      h2.serve(handler, {}, function(address)
        local client <close> = h2.connect(address)
        client:send(h2.get(1, "/short"))
        print(client:answer(1).reset)
        client:send(h2.get(3, "/long"))
        print(client:answer(3).status)
      end)
    ]]
    assert.equal("true\n2\nfalse\tthe stream of a response is longer than its Content-Length\n500\n", out)
  end)

  it("tells a client that asks for a WebSocket that there is none", function()
    local answer = answer_of(function(req) return require "green.ws".accept(req) end)
    assert.equal(426, answer.status)
    assert.is_nil(answer.headers.upgrade)
  end)
end)

describe("what a client is told before the answer", function()
  local function handler(req)
    if req.path == "/unread" then return "unread" end
    return req:body()
  end

  it("is 100 Continue, when the handler wants the body", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/", { { "expect", "100-continue" } })))
      local answer
      assert.is_true(client:watch(function()
        answer = client.answers[1]
        return answer and answer.interim[1]
      end))
      assert.same({ 100 }, answer.interim)
      client:send(h2.frame(h2.DATA, h2.END_STREAM, 1, "body"))
      assert.equal("body", client:answer(1).body)
    end)
  end)

  it("is nothing if nobody wants it, and then the stream ends without an error", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/unread", { { "expect", "100-continue" } })))
      local answer = client:answer(1)
      assert.same({}, answer.interim)
      assert.equal("unread", answer.body)
      assert.is_true(client:watch(function() return answer.reset end))
      assert.equal(h2.NO_ERROR, answer.reset)
      client:send(GET(3, "/unread"))
      assert.equal("unread", client:answer(3).body)
    end)
  end)
end)

describe("a client that resets a stream", function()
  local function ended(handler, options)
    local log = {}
    h2.serve(function(req)
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      return handler(req, log)
    end, options or {}, function(address)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"))
      h2.eventually(function() return log[1] == "begun" end)
      client:send(h2.reset(1, h2.CANCEL))
      h2.eventually(function() return log[#log] == "closed" end)
      client:send(h2.frame(h2.PING, 0, 0, "12345678"))
      assert.is_true(client:watch(function() return client.pings == 1 end)) -- it serves others
    end)
    return log
  end

  it("ends a task that is for the client, in its wait", function()
    local log = ended(function(_, log)
      log[#log + 1] = "begun"
      local _, err = pcall(task.sleep, 60)
      log[#log + 1] = err.code
      return "x"
    end, { cancel_on_disconnect = true })
    assert.equal("ECANCELED", log[2])
  end)

  it("lets another one come to its end", function()
    local log = ended(function(_, log)
      log[#log + 1] = "begun"
      task.sleep(0.05)
      return "x"
    end)
    assert.equal("closed", log[#log])
  end)

  it("is told to a handler that reads, and to one that writes", function()
    local reads, writes
    local function handler(req)
      if req.method == "POST" then
        local _, err = pcall(req.body, req)
        reads = err.code
        return "x"
      end
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function(_, err) writes = err.code end })
        while true do out:write(("x"):rep(100000)) end
      end)
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true })
      client:send(h2.headers(1, h2.fields("POST", "/")), h2.frame(h2.DATA, 0, 1, "begun"), GET(3, "/"))
      assert.is_true(client:watch(function() return client.answers[3] and #client.answers[3].body > 60000 end))
      client:send(h2.reset(1, h2.CANCEL), h2.reset(3, h2.CANCEL))
      h2.eventually(function() return reads and writes end)
      assert.equal("ECONNRESET", reads)
      assert.is_truthy(writes == "EPIPE" or writes == "ECANCELED", writes)
    end)
  end)
end)
