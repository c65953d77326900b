-- SPDX-License-Identifier: MIT
-- The HTTP/1.1 server as a client on a raw socket sees it.
local native = require "green.http.native"
local raw = require "http.raw"
local response = require "green.response"
local sh = require "shell"
local task = require "green.task"

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

local function get(path, headers) return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, headers or "") end

local function post(path, body, headers)
  return ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s"):format(path, #body, headers or "", body)
end

local function chunked(path, pieces, trailers)
  local out = { ("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"):format(path) }
  for i, piece in ipairs(pieces) do out[i + 1] = ("%x\r\n%s\r\n"):format(#piece, piece) end
  return table.concat(out) .. "0\r\n" .. (trailers or "") .. "\r\n"
end

local function echo(req) return ("%s %s [%s]"):format(req.method, req.target, req:body()) end

-- Waits until the condition holds; other tasks run meanwhile.
local function eventually(condition, what)
  for _ = 1, 5000 do
    if condition() then return end
    task.sleep(0.001)
  end
  error("never happened: " .. what, 2)
end

-- Waits until the figure does not change any more.
local function settled(figure)
  local last, same = nil, 0
  repeat
    task.sleep(0.001)
    local now = figure()
    same = now == last and same + 1 or 0
    last = now
  until same == 50
  return last
end

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("table", type(err), tostring(err))
  return err
end

-- Runs a script with `raw` and `serve` at hand in a process of its own, for what it says on stderr.
local function script(text)
  local folder = debug.getinfo(1, "S").source:match "^@(.*)/http/"
  if not folder:find "^/" then folder = os.getenv "PWD" .. "/" .. folder end
  local head = ('package.path = "%s/?.lua;" .. package.path\nlocal raw = require "http.raw"\n'):format(folder)
  return sh("$lua script.lua", { ["script.lua"] = head .. text })
end

describe("a connection", function()
  it("takes one request after the other", function()
    raw.serve(echo, {}, function(address)
      local client <close> = raw.connect(address)
      for i = 1, 20 do
        client:send(post("/" .. i, ("x"):rep(i)))
        local answer = client:answer()
        assert.equal(("POST /%d [%s]"):format(i, ("x"):rep(i)), answer.body)
        assert.is_nil(answer.headers.connection)
      end
    end)
  end)

  it("answers 16 pipelined requests in order", function()
    raw.serve(echo, {}, function(address)
      local client <close> = raw.connect(address)
      local all = {}
      for i = 1, 16 do all[i] = get("/" .. i) end
      client:send(table.concat(all))
      for i = 1, 16 do assert.equal(("GET /%d []"):format(i), client:answer().body) end
    end)
  end)

  it("answers 1000 pipelined requests in order, slow ones, with bodies and without", function()
    local function handler(req)
      if req.path:find "[05]$" then task.sleep(0) end
      if req.path:find "7$" then return req.target end -- the body stays unread
      return echo(req)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      local all = {}
      for i = 1, 1000 do
        local path, body = "/" .. i, ("b"):rep(i % 90)
        all[i] = i % 3 == 0 and post(path, body) or i % 3 == 1 and chunked(path, { body .. "c", "d" }) or get(path)
      end
      local sending = task.spawn(client.send, client, table.concat(all))
      for i = 1, 1000 do
        local path, body = "/" .. i, ("b"):rep(i % 90)
        local expected = i % 3 == 0 and ("POST %s [%s]"):format(path, body)
          or i % 3 == 1 and ("POST %s [%scd]"):format(path, body) or ("GET %s []"):format(path)
        assert.equal(path:find "7$" and path or expected, client:answer().body)
      end
      sending:join()
    end)
  end)

  it("says Connection: close and ends when asked to", function()
    raw.serve(echo, {}, function(address)
      for _, header in ipairs { "Connection: close\r\n", "Connection: Close\r\n", "Connection: x, close\r\n" } do
        local client <close> = raw.connect(address)
        client:send(get("/", header), GET)
        assert.equal("close", client:answer().headers.connection)
        assert.equal("", client:rest())
      end
    end)
  end)

  it("ends after a response that says so", function()
    raw.serve(function() return response.text("bye"):header("Connection", "close") end, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(GET, GET)
      local answer = client:answer()
      assert.equal("close", answer.headers.connection)
      assert.equal("bye", answer.body)
      assert.equal("", client:rest())
    end)
  end)

  it("ends after an answer to HTTP/1.0, unless asked to stay", function()
    raw.serve(echo, {}, function(address)
      local client <close> = raw.connect(address)
      client:send "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
      assert.equal("keep-alive", client:answer().headers.connection)
      client:send "GET /a HTTP/1.0\r\n\r\n"
      local answer = client:answer()
      assert.equal("close", answer.headers.connection)
      assert.equal("GET /a []", answer.body)
      assert.equal("", client:rest())
    end)
  end)

  it("may be half closed: everything asked for is still answered", function()
    local function handler(req)
      task.sleep(0.002)
      return echo(req)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(get "/1", post("/2", "x"), get "/3")
      client:shutdown()
      assert.equal("GET /1 []", client:answer().body)
      assert.equal("POST /2 [x]", client:answer().body)
      assert.equal("GET /3 []", client:answer().body)
      assert.equal("", client:rest())
    end)
  end)

  it("that ends within a head or a body gets no answer, or 400", function()
    raw.serve(echo, {}, function(address)
      local client <close> = raw.connect(address)
      client:send "GET / HT"
      client:shutdown()
      assert.equal("", client:rest())
      local other <close> = raw.connect(address)
      other:send(post("/", "12345"):sub(1, -2))
      other:shutdown()
      assert.equal(400, other:answer().status)
      assert.equal("", other:rest())
      local third <close> = raw.connect(address)
      third:send(GET, post("/", "12345"):sub(1, -2)) -- the end is there before the second request begins
      third:shutdown()
      assert.equal(200, third:answer().status)
      assert.equal(400, third:answer().status)
      assert.equal("", third:rest())
    end)
  end)
end)

describe("a request in pieces", function()
  local requests = {
    { "GET", get("/a?b=c", "X-Empty:\r\nX-Long: " .. ("d"):rep(40) .. "\r\n") },
    { "POST", post("/a", "12345\r\n67890") },
    { "chunked", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n12345\r\nA\r\n1234567890\r\n0\r\nT: u\r\nV: \r\n\r\n" },
    { "HEAD", (GET:gsub("GET", "HEAD")) },
    { "URL", (GET:gsub("/ ", "http://example.com:80/a?b ", 1)) },
    { "empty lines first", "\r\n\r\n" .. GET },
    { "unread body", (post("/unread", "12345")) },
    { "wrong path", get "/%00" },
    { "wrong method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "wrong version", "GET / HTTP/1.7\r\nHost: a\r\n\r\n" },
    { "wrong header", get("/", "a b: c\r\n") },
    { "wrong line end", "GET / HTTP/1.1\r\nHost: a\r\nA: b\n\r\n" },
    { "folded header", get("/", "a: b\r\n c\r\n") },
    { "wrong coding", get("/", "Transfer-Encoding: gzip\r\n") },
    { "wrong length", get("/", "Content-Length: 1x\r\n") },
    { "no host", "GET / HTTP/1.1\r\n\r\n" },
  }

  local function handler(req)
    if req.path == "/unread" then return "unread" end
    local body = req.method == "POST" and req:body() or ""
    return ("%s %s [%s] %s"):format(req.method, req.target, body, req:header "host")
  end

  -- Everything the server says to it, without the date; a second request shows that the framing held.
  local function talk(address, send)
    local client <close> = raw.connect(address)
    pcall(send, client) -- what is refused may be refused before it is complete
    pcall(client.send, client, GET)
    pcall(client.shutdown, client)
    return (client:rest():gsub("Date: [^\r]*", "Date"))
  end

  for _, row in ipairs(requests) do
    local name, bytes = row[1], row[2]

    it(("(%s) is answered alike wherever it is cut"):format(name), function()
      raw.serve(handler, {}, function(address)
        local whole = talk(address, function(client) client:send(bytes) end)
        assert.matches("^HTTP/1.1 %d%d%d ", whole)
        for cut = 1, #bytes - 1 do
          local cutted = talk(address, function(client)
            client:send(bytes:sub(1, cut))
            task.sleep(0)
            client:send(bytes:sub(cut + 1))
          end)
          assert.equal(whole, cutted, ("cut after %d: %q"):format(cut, bytes:sub(1, cut)))
        end
        local trickled = talk(address, function(client)
          for byte in bytes:gmatch "." do
            client:send(byte)
            task.sleep(0)
          end
        end)
        assert.equal(whole, trickled)
      end)
    end)
  end
end)

describe("a request body", function()
  it("is read whole, whatever its framing", function()
    raw.serve(echo, {}, function(address)
      assert.equal("POST / [12345]", raw.ask(address, post("/", "12345")).body)
      assert.equal("POST / [12345]", raw.ask(address, chunked("/", { "1", "23", "45" })).body)
      assert.equal("POST / []", raw.ask(address, chunked("/", {})).body)
      assert.equal("POST / []", raw.ask(address, post("/", "")).body)
      local large = ("0123456789abcdef"):rep(50000)
      assert.equal("POST / [" .. large .. "]", raw.ask(address, post("/", large)).body)
      assert.equal("POST / [" .. large .. "]", raw.ask(address, chunked("/", { large:sub(1, 3), large:sub(4) })).body)
    end)
  end)

  it("is the same when it is asked for again", function()
    raw.serve(function(req) return req:body() .. req:body() end, {}, function(address)
      assert.equal("abab", raw.ask(address, post("/", "ab")).body)
    end)
  end)

  it("has trailers that nobody sees", function()
    local function handler(req)
      local body = req:body()
      return body .. tostring(req:header "x-late") .. tostring(req.headers["x-late"])
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(chunked("/", { "ab" }, "X-Late: yes\r\nContent-Length: 7\r\nHost: b\r\nConnection: close\r\n"), GET)
      assert.equal("abnilnil", client:answer().body)
      assert.equal("nilnil", client:answer().body)
    end)
  end)

  it("comes in pieces, as they arrive", function()
    local seen = {}
    local function handler(req)
      for piece in req:chunks() do seen[#seen + 1] = piece end
      return tostring(#seen)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      for i = 1, 5 do
        client:send(("2\r\n%d;\r\n"):format(i))
        eventually(function() return #seen == i end, "piece " .. i)
      end
      client:send "0\r\n\r\n"
      assert.equal("5", client:answer().body)
      assert.equal("1;2;3;4;5;", table.concat(seen))
    end)
  end)

  it("larger than allowed gets 413, before it was sent when its length is known", function()
    raw.serve(echo, { max_body = 10 }, function(address)
      assert.equal("POST / [1234567890]", raw.ask(address, post("/", "1234567890")).body)
      for _, bytes in ipairs { post("/", "12345678901"), chunked("/", { "123456", "78901" }), "POST / HTTP/1.1\r\nHost: a\r\n"
        .. "Content-Length: 18446744073709551615\r\n\r\nx", (post("/", "12345678901"):sub(1, -11)) } do
        local client <close> = raw.connect(address)
        client:send(bytes)
        local answer = client:answer()
        assert.equal(413, answer.status)
        assert.equal("close", answer.headers.connection)
        client:shutdown()
        assert.equal("", client:rest())
      end
    end)
  end)

  it("may be larger where the handler says so, or reads it in pieces", function()
    local function handler(req)
      if req.path == "/whole" then return tostring(#req:body(1000000)) end
      local ok, err = pcall(req.body, req)
      assert(not ok and err.code == "EMSGSIZE" and err.status == 413)
      local n = 0
      for piece in req:chunks() do n = n + #piece end
      return tostring(n)
    end
    raw.serve(handler, { max_body = 10 }, function(address)
      local body = ("x"):rep(700000)
      assert.equal("700000", raw.ask(address, post("/whole", body)).body)
      assert.equal("700000", raw.ask(address, post("/", body)).body)
      assert.equal("700000", raw.ask(address, chunked("/", { body:sub(1, 1), body:sub(2) })).body)
    end)
  end)

  it("that nobody reads is read away, and the next request served", function()
    raw.serve(function(req) return req.path end, {}, function(address)
      local client <close> = raw.connect(address)
      for _, bytes in ipairs { post("/1", ("x"):rep(300000)), chunked("/2", { ("x"):rep(300000) }), post("/3", "x") } do
        client:send(bytes, get "/next")
        assert.matches("^/%d$", client:answer().body)
        assert.equal("/next", client:answer().body)
      end
    end)
  end)

  it("that nobody reads ends the connection when it is too large", function()
    raw.serve(function() return "no" end, {}, function(address)
      local client <close> = raw.connect(address)
      client:send "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
      assert.equal("no", client:answer().body)
      local sent = 0
      while pcall(client.send, client, ("x"):rep(65536)) and sent < 200 do
        sent = sent + 1
        task.sleep(0)
      end
      client:shutdown()
      assert.equal("", client:rest())
      assert.equal("no", raw.ask(address, GET).body)
    end)
  end)

  it("has one reader at a time", function()
    local other
    local function handler(req)
      other = task.spawn(function() return failure(req.body, req) end)
      return req:body()
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      eventually(function() return other end, "the handler began")
      assert.equal("EBUSY", other:join().code)
      client:send "2"
      assert.equal("12", client:answer().body)
    end)
  end)

  it("is gone with its request, also for a task that still waits for it", function()
    local other, kept
    local function handler(req)
      kept = req
      other = task.spawn(function() return failure(req.body, req) end)
      task.sleep(0)
      return "done"
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      assert.equal("done", client:answer().body)
      assert.equal("ECLOSED", other:join().code)
      assert.equal("ECLOSED", failure(kept.body, kept).code)
      assert.equal("/", kept.path)
    end)
  end)

  it("can be given up, and asked for again", function()
    local function handler(req)
      local reader = task.spawn(req.body, req)
      task.sleep(0)
      reader:cancel()
      pcall(reader.join, reader)
      return req:body()
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      task.sleep(0.01)
      client:send "2"
      assert.equal("12", client:answer().body)
    end)
  end)
end)

describe("Expect: 100-continue", function()
  local EXPECT = "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
  local function handler(req)
    if req.path == "/early" then return "no, thanks" end
    return req:body()
  end

  it("is answered when the body is read", function()
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      for _ = 1, 2 do
        client:send(EXPECT:format "/")
        assert.equal(100, client:answer().status)
        client:send "ab"
        local answer = client:answer()
        assert.equal(200, answer.status)
        assert.equal("ab", answer.body)
      end
    end)
  end)

  it("is never answered when nobody reads it; the connection ends, and the answer says so", function()
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(EXPECT:format "/early")
      local answer = client:answer()
      assert.equal("no, thanks", answer.body)
      assert.equal("close", answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)

  it("is not answered when the body came by itself", function()
    raw.serve(handler, {}, function(address)
      assert.equal(200, raw.ask(address, EXPECT:format "/", "ab").status)
    end)
  end)

  it("is ignored without a body and in HTTP/1.0", function()
    raw.serve(handler, {}, function(address)
      assert.equal(200, raw.ask(address, get("/", "Expect: 100-continue\r\n")).status)
      local client <close> = raw.connect(address)
      client:send((EXPECT:format "/":gsub("1%.1", "1.0")))
      task.sleep(0.005)
      client:send "ab"
      assert.equal("ab", client:answer().body)
    end)
  end)
end)

describe("an answer", function()
  local answers = {
    ["/string"] = function() return "text" end,
    ["/table"] = function() return { a = 1 } end,
    ["/nil"] = function() end,
    ["/304"] = function() return response.status(304, { etag = '"a"', ["content-length"] = "10" }) end,
    ["/204"] = function() return response.status(204, { ["content-length"] = "10" }) end,
    ["/stream"] = function() return response.stream(function(out) out:write "one"; out:write ""; out:write "two" end) end,
    ["/nothing"] = function() return response.stream(function() end) end,
    ["/counted"] = function()
      return response.stream(function(out) out:write "12"; out:write "345" end, { headers = { ["Content-Length"] = "5" } })
    end,
    ["/silent"] = function() return response.stream(function(out) out:write "x" end, { status = 204 }) end,
    ["/length"] = function() return response.status(200, { ["content-length"] = "10" }) end,
    ["/hex"] = function()
      return response.stream(function(out) out:write(("x"):rep(16)) end, { headers = { ["content-length"] = "0x10" } })
    end,
    ["/list"] = function() return response.status(200, { ["x-list"] = { "a", "b" } }) end,
  }
  local function handler(req) return answers[req.path](req) end

  local function ask(path, fn)
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      for _ = 1, 2 do
        client:send(get(path))
        fn(client:answer())
      end
      client:send((get(path):gsub("GET", "HEAD", 1)))
      local head = client:answer(true)
      client:send(get "/string")
      assert.equal("text", client:answer().body)
      fn(head, true)
    end)
  end

  it("is text, JSON, or nothing", function()
    ask("/string", function(answer, head)
      assert.equal("4", answer.headers["content-length"])
      assert.equal("text/plain; charset=utf-8", answer.headers["content-type"])
      assert.equal(head and "" or "text", answer.body)
      assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", answer.headers.date)
    end)
    ask("/table", function(answer, head) assert.equal(head and "" or '{"a":1}', answer.body) end)
    ask("/nil", function(answer)
      assert.equal(204, answer.status)
      assert.is_nil(answer.headers["content-length"])
      assert.is_nil(answer.headers["transfer-encoding"])
    end)
  end)

  it("without a body by its status says no length, unless it is told (304)", function()
    ask("/304", function(answer) assert.equal("10", answer.headers["content-length"]) end)
    ask("/204", function(answer) assert.is_nil(answer.headers["content-length"]) end)
    ask("/silent", function(answer)
      assert.is_nil(answer.headers["content-length"])
      assert.is_nil(answer.headers["transfer-encoding"])
    end)
  end)

  it("never has a Content-Length that is not true", function()
    ask("/length", function(answer, head) assert.equal(head and "10" or "0", answer.headers["content-length"]) end)
    ask("/hex", function(answer) assert.equal("16", answer.headers["content-length"]) end)
  end)

  it("is streamed in chunks, or with the length it says", function()
    ask("/stream", function(answer, head)
      assert.equal("chunked", answer.headers["transfer-encoding"])
      assert.equal(head and "" or "onetwo", answer.body)
      assert.is_falsy(answer.truncated)
    end)
    ask("/nothing", function(answer) assert.equal("", answer.body) end)
    ask("/counted", function(answer, head)
      assert.equal("5", answer.headers["content-length"])
      assert.is_nil(answer.headers["transfer-encoding"])
      assert.equal(head and "" or "12345", answer.body)
    end)
  end)

  it("is streamed until the connection ends to HTTP/1.0", function()
    raw.serve(handler, {}, function(address)
      local answer = raw.ask(address, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      assert.is_nil(answer.headers["transfer-encoding"])
      assert.equal("close", answer.headers.connection)
      assert.equal("onetwo", answer.body)
    end)
  end)

  it("may have a header several times", function()
    ask("/list", function(answer) assert.equal("a, b", answer.headers["x-list"]) end)
  end)
end)

describe("a handler that fails", function()
  it("gets 500 without details, a record with a traceback, and the next request", function()
    local out, err = script [[
      local function broken() error("secret " .. 42) end
      local function handler(req)
        if req.path == "/fail" then broken() end
        if req.path == "/object" then error { code = 7 } end
        return "fine"
      end
      raw.serve(handler, {}, function(address)
        local client <close> = raw.connect(address)
        for _, path in ipairs { "/fail", "/object", "/" } do
          client:send("POST " .. path .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
          local answer = client:answer()
          print(answer.status, answer.body)
        end
      end)
    ]]
    assert.equal('500\t{"error":"internal server error"}\n\n500\t{"error":"internal server error"}\n\n200\tfine\n', out)
    assert.matches("^greenlua: POST /fail: script.lua:3: secret 42\nstack traceback:\n", err)
    assert.matches("in [%a ]*'broken'", err)
    assert.matches("greenlua: POST /object: table: 0x", err)
  end)

  it("may raise an answer: an error object with a status", function()
    local fault = require "green.error"
    local function handler(req)
      if req.path == "/400" then fault.status(400, "x", "EINVAL", "say \"please\"\n") end
      if req.path == "/raw" then error({ status = 404, message = "nowhere" }) end
      if req.path == "/bare" then error({ status = 409 }) end
      return "fine"
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(get "/400", get "/raw", get "/bare", GET)
      local answer = client:answer()
      assert.equal(400, answer.status)
      assert.equal('{"error":"say \\"please\\" "}\n', answer.body)
      answer = client:answer()
      assert.equal(404, answer.status)
      assert.equal('{"error":"nowhere"}\n', answer.body)
      answer = client:answer()
      assert.equal(409, answer.status)
      assert.equal('{"error":"Conflict"}\n', answer.body)
      assert.equal("fine", client:answer().body)
    end)
  end)

  it("by a wrong answer gets 500, and nothing of it is sent", function()
    local out, err = script [[
      local native = require "green.http.native"
      local function r(t) return setmetatable(t, native.response) end
      local wrong = {
        true, 1, 1.5, print, io.stdout, coroutine.create(print),
        { print }, { [1000000000] = 1 },
        r { status = 99 }, r { status = 600 }, r { status = 100 }, r { status = "x" }, r { status = 1.5 },
        r { headers = 1 }, r { body = 1 }, r { body = {} }, r { json = print },
        r { headers = { a = true } }, r { headers = { a = {{}} } }, r { headers = { [1] = "a" } },
        r { headers = { [""] = "a" } }, r { headers = { ["a b"] = "c" } }, r { headers = { ["a:"] = "c" } },
        r { headers = { ["a\r\nb"] = "c" } }, r { headers = { ["a\0"] = "c" } }, r { headers = { ["\xe4"] = "c" } },
        r { headers = { a = "b\r\nc: d" } }, r { headers = { a = "b\nc" } }, r { headers = { a = "b\rc" } }, r { headers = { a = "b\0" } },
        r { headers = { a = { "b", "c\r\n\r\nd" } } },
        r { headers = { ["Transfer-Encoding"] = "chunked" } }, r { headers = { ["content-length"] = "x" } },
        r { headers = { ["content-length"] = -1 } }, r { headers = { ["content-length"] = { 1 } } },
        r { headers = { ["Content-Length"] = "1.5" } },
      }
      local n
      raw.serve(function() return wrong[n] end, {}, function(address)
        local client <close> = raw.connect(address)
        for i = 1, #wrong do
          n = i
          client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
          local answer = client:answer()
          if answer.status ~= 500 then print(i, answer.status) end
        end
        print(#wrong)
      end)
    ]]
    assert.equal("36\n", out)
    local _, records = err:gsub("greenlua: GET /: ", "")
    assert.equal(36, records)
    assert.matches("a handler must return a string, a table, a response or nothing, not a boolean", err)
    assert.matches("response header 'a' contains a line break or NUL", err)
  end)

  it("within a stream truncates it, so that it does not look whole", function()
    local out, err = script [[
      local response = require "green.response"
      local task = require "green.task"
      local handlers = {
        ["/chunked"] = function() return response.stream(function(out) out:write "abc"; task.sleep(0.01); error "oops" end) end,
        ["/counted"] = function()
          return response.stream(function(out) out:write "abc"; task.sleep(0.01); error "oops" end, { headers = { ["content-length"] = "5" } })
        end,
        ["/short"] = function()
          return response.stream(function(out) out:write "abc"; task.sleep(0.01) end, { headers = { ["content-length"] = "5" } })
        end,
        ["/long"] = function()
          return response.stream(function(out) out:write "abc"; task.sleep(0.01); out:write "def" end, { headers = { ["content-length"] = "5" } })
        end,
      }
      raw.serve(function(req) return handlers[req.path](req) end, {}, function(address)
        for _, path in ipairs { "/chunked", "/counted", "/short", "/long" } do
          local answer = raw.ask(address, "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
          print(path, answer.status, answer.truncated, answer.body)
        end
      end)
    ]]
    assert.equal("/chunked\t200\ttrue\tabc\n/counted\t200\ttrue\tabc\n/short\t200\ttrue\tabc\n/long\t200\ttrue\tabc\n", out)
    assert.matches("GET /chunked: script.lua:6: oops", err)
    assert.matches("GET /short: .*2 bytes short of its Content%-Length", err)
    assert.matches("GET /long: .*longer than its Content%-Length", err)
  end)
end)

describe("a slow reader", function()
  local PIECE, COUNT = ("x"):rep(65536), 1000

  it("makes out:write wait, and gets everything in the end", function()
    local written = 0
    local function handler()
      return response.stream(function(out)
        for _ = 1, COUNT do
          out:write(PIECE)
          written = written + #PIECE
        end
      end)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(GET)
      local before = settled(function() return written end)
      assert.is_true(before > 0 and before < 24 * 1024 * 1024, "written: " .. before)
      local answer = client:answer()
      assert.equal(#PIECE * COUNT, #answer.body)
      assert.is_falsy(answer.truncated)
    end)
  end)

  it("is not given one answer after the other", function()
    local answered, body = 0, ("x"):rep(1000000)
    local function handler()
      answered = answered + 1
      return body
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(GET:rep(100))
      local before = settled(function() return answered end)
      assert.is_true(before > 0 and before < 30, "answered: " .. before)
      for _ = 1, 100 do assert.equal(#body, #client:answer().body) end
      client:send(GET)
      assert.equal(200, client:answer().status)
      assert.equal(101, answered)
    end)
  end)

  it("that goes away makes out:write raise", function()
    local err
    local function handler()
      return response.stream(function(out)
        local ok, e = pcall(function()
          while true do out:write(PIECE) end
        end)
        assert(not ok)
        err = e
      end)
    end
    raw.serve(handler, {}, function(address)
      do
        local client <close> = raw.connect(address)
        client:send(GET)
        client:take(100)
      end
      eventually(function() return err end, "the write failed")
      assert.equal("http.write", err.op)
    end)
  end)

  it("has one writer at a time, and none after the end", function()
    local codes, kept = {}, nil
    local function handler()
      return response.stream(function(out)
        kept = out
        local other = task.spawn(function()
          local ok, err
          repeat ok, err = pcall(out.write, out, PIECE) until not ok
          codes[#codes + 1] = err.code
        end)
        eventually(function()
          local ok, err = pcall(out.write, out, "")
          return not ok and err.code == "EBUSY"
        end, "another task writes")
      end)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(GET)
      eventually(function() return #codes == 1 end, "the other task is told")
      assert.equal("ECLOSED", codes[1])
      assert.is_falsy(client:answer().truncated)
      assert.equal("ECLOSED", failure(kept.write, kept, "x").code)
    end)
  end)
end)

describe("a client that goes away", function()
  it("does not stop the handler", function()
    local ended
    local function handler()
      task.sleep(0.02)
      ended = true
      return "nobody reads this"
    end
    raw.serve(handler, {}, function(address, server)
      local client = raw.connect(address)
      client:send(GET)
      eventually(function() return server:connections() == 1 end, "connected")
      task.sleep(0.005)
      client:close()
      eventually(function() return ended and server:connections() == 0 end, "the handler ended")
    end)
  end)

  it("cancels it where that is asked for, and its variables are closed", function()
    local began, closed, ended
    local function handler()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      began = true
      task.sleep(60)
      ended = true
    end
    raw.serve(handler, { cancel_on_disconnect = true }, function(address, server)
      local client = raw.connect(address)
      client:send(GET)
      eventually(function() return began end, "the handler began")
      client:close()
      eventually(function() return closed and server:connections() == 0 end, "the handler was cancelled")
      assert.is_nil(ended)
    end)
  end)

  it("within its body makes req:body raise", function()
    local err
    local function handler(req)
      err = failure(req.body, req)
      return "x"
    end
    raw.serve(handler, {}, function(address)
      local client = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      task.sleep(0.005)
      client:close()
      eventually(function() return err end, "the body ended")
      assert.equal(400, err.status)
    end)
  end)
end)

describe("a time-out", function()
  local SHORT = 0.03

  it("of the head gets 408", function()
    raw.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send "GET / HT"
      local answer = client:answer()
      assert.equal(408, answer.status)
      assert.equal("close", answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)

  it("of the head counts from its first byte, however it trickles", function()
    raw.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      local dripping = task.spawn(function()
        for byte in GET:gsub("\r\n\r\n", "\r\nA: " .. ("b"):rep(4000) .. "\r\n\r\n"):gmatch "." do
          client:send(byte)
          task.sleep(0.002)
        end
      end)
      assert.equal(408, client:answer().status)
      dripping:cancel()
      pcall(dripping.join, dripping)
    end)
  end)

  it("of a connection that says nothing, or nothing more, just ends it", function()
    raw.serve(echo, { header_timeout = SHORT, keepalive_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      assert.equal("", client:rest())
      local other <close> = raw.connect(address)
      other:send(GET)
      assert.equal(200, other:answer().status)
      assert.equal("", other:rest())
    end)
  end)

  it("of the body gets 408", function()
    raw.serve(echo, { body_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      local answer = client:answer()
      assert.equal(408, answer.status)
      assert.equal("close", answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)

  it("of the body does not count for the handler that has read it", function()
    local function handler(req)
      local body = req:body()
      task.sleep(0.1)
      return body
    end
    raw.serve(handler, { body_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      task.sleep(0.005)
      client:send "2"
      assert.equal("12", client:answer().body)
    end)
  end)

  it("of an unread body ends the connection", function()
    raw.serve(function() return "no" end, { body_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      assert.equal("no", client:answer().body)
      assert.equal("", client:rest())
    end)
  end)

  it("of the handler cancels it and gets 503", function()
    local out, err = script [[
      local task = require "green.task"
      local function handler(req)
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        if req.path == "/caught" then return pcall(task.sleep, 60) and "late" or "caught" end
        task.sleep(60)
      end
      raw.serve(handler, { request_timeout = 0.03 }, function(address)
        for _, path in ipairs { "/", "/caught" } do
          local client <close> = raw.connect(address)
          client:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
          local answer = client:answer()
          print(answer.status, answer.headers.connection, (answer.body:gsub("\n", "")))
          print(client:rest())
        end
      end)
    ]]
    assert.equal('closed\n503\tclose\t{"error":"the request took too long"}\n\nclosed\n200\tclose\tcaught\n\n', out)
    assert.matches("^greenlua: GET /: task.sleep: the task was cancelled\nstack traceback:", err)
  end)

  it("of the handler does not count for a stream that goes on", function()
    local function handler()
      return response.stream(function(out)
        for i = 1, 8 do
          out:write(tostring(i))
          task.sleep(0.01)
        end
      end)
    end
    raw.serve(handler, { request_timeout = SHORT }, function(address)
      assert.equal("12345678", raw.ask(address, GET).body)
    end)
  end)

  it("of a reader who reads nothing ends stream and connection", function()
    local err
    local function handler(req)
      if req.path == "/whole" then return ("x"):rep(32 * 1024 * 1024) end
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function(_, e) err = e end })
        while true do out:write(("x"):rep(65536)) end
      end)
    end
    raw.serve(handler, { write_timeout = SHORT, keepalive_timeout = SHORT }, function(address, server)
      local client <close> = raw.connect(address)
      client:send(GET)
      eventually(function() return err and server:connections() == 0 end, "the stream ended")
      local other <close> = raw.connect(address)
      other:send(get "/whole")
      eventually(function() return server:connections() == 1 end, "connected")
      eventually(function() return server:connections() == 0 end, "the connection ended")
    end)
  end)
end)

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
      task.sleep(0.005)
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
    local closed
    local function handler()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      task.sleep(60)
    end
    raw.serve(handler, {}, function(address, server)
      local client <close> = raw.connect(address)
      client:send(GET)
      eventually(function() return server:connections() == 1 end, "connected")
      task.sleep(0.005)
      assert.equal("ETIMEDOUT", failure(server.finish, server, 0.01).code)
      local first = task.spawn(server.finish, server)
      task.sleep(0)
      assert.equal("EBUSY", failure(server.finish, server).code)
      server:abort()
      first:join()
      assert.is_true(closed)
      assert.equal("", client:rest())
      server:abort()
      server:finish(1)
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

  it("turns connections away beyond its limit", function()
    raw.serve(echo, { max_connections = 2 }, function(address, server)
      local one <close> = raw.connect(address)
      local two <close> = raw.connect(address)
      one:send(GET)
      two:send(GET)
      assert.equal(200, one:answer().status)
      assert.equal(200, two:answer().status)
      local three <close> = raw.connect(address)
      assert.equal("", three:rest())
      one:close()
      eventually(function() return server:connections() == 1 end, "one left")
      assert.equal(200, raw.ask(address, GET).status)
    end)
  end)

  it("serves 500 connections at once", function()
    local open, most = 0, 0
    local function handler(req)
      open = open + 1
      most = math.max(most, open)
      eventually(function() return most == 500 end, "all are there")
      open = open - 1
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
      max_target = 0, max_head = 1.5, max_headers = "x", max_body = -1, max_connections = 1e12,
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
