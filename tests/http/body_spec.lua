-- SPDX-License-Identifier: MIT
-- Request bodies as handlers read them, or do not.
local raw = require "http.raw"
local task = require "green.task"

local GET, get, post, chunked, echo, eventually, failure = raw.GET, raw.get, raw.post, raw.chunked, raw.echo, raw.eventually, raw.failure

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

  it("has trailers that are no headers", function()
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
    local refused
    local function read(req)
      local ok, body = pcall(req.body, req)
      if ok then return body end
      refused = body.code
    end
    local function handler(req)
      local other = task.spawn(read, req) -- whoever comes first
      local mine = read(req)
      return mine or other:join()
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      assert.equal("EBUSY", eventually(function() return refused end, "the second is refused"))
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
