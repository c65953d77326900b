-- SPDX-License-Identifier: MIT
-- One connection of the HTTP/1.1 server: its requests in order, its end, and that pieces make no difference.
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local GET, get, post, chunked, echo, eventually, failure = raw.GET, raw.get, raw.post, raw.chunked, raw.echo, raw.eventually, raw.failure

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

  -- What a connection has for a request goes to the next one that needs it, of any connection, and nothing of the request with it.
  it("gives another connection nothing of its request", function()
    local function handler(req)
      if req.path == "/unread" then return "unread" end
      return ("[%s] %s"):format(req:body(), (req:trailers() or {}).x or "none")
    end
    raw.serve(handler, {}, function(address)
      for _ = 1, 20 do
        local first <close> = raw.connect(address)
        local second <close> = raw.connect(address)
        local head = "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        first:send(head:format "/unread")
        assert.equal("unread", first:answer().body)
        first:send "3\r\nabc\r\n0\r\nX: left\r\n\r\n"
        second:send(post("/", "s"))
        assert.equal("[s] none", second:answer().body)
        second:send(head:format "/", "1\r\nt\r\n0\r\nX: mine\r\n\r\n")
        assert.equal("[t] mine", second:answer().body)
        first:send(post("/", "f"))
        assert.equal("[f] none", first:answer().body)
      end
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
