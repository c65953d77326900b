-- SPDX-License-Identifier: MIT
-- Bodies of HTTP/2 and the windows of both sides: a client sends no more than scripts read, and gets no more than it asks for.
local h2 = require "http.h2"
local fs = require "green.fs"
local response = require "green.response"
local task = require "green.task"

local GET = h2.get
local FRAME = ("b"):rep(16384)

-- Sends frames of a body as far as the windows go; returns how many bytes.
local function fill(client, stream, window)
  local sent = 0
  while sent < window do
    local n = math.min(#FRAME, window - sent)
    client:send(h2.frame(h2.DATA, 0, stream, FRAME:sub(1, n)))
    sent = sent + n
  end
  return sent
end

-- What the server has given back to a window, as far as it is known once a ping has come back.
local function given(client, stream)
  local before, total = client.pings, 0
  client:send(h2.frame(h2.PING, 0, 0, "12345678"))
  while client.pings == before do
    local frame = assert(client:next())
    if frame.kind == h2.WINDOW_UPDATE and frame.stream == stream then total = total + (">I4"):unpack(frame.payload) end
  end
  return total
end

describe("the body of a request of HTTP/2", function()
  it("may be no longer than the protocol's window while nobody reads, and more as the script reads", function()
    local go = task.channel()
    local got = 0
    local function handler(req)
      go:receive()
      for piece in req:chunks() do
        got = got + #piece
        go:receive()
      end
      return tostring(got)
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/")))
      fill(client, 1, 65535)
      assert.equal(0, given(client, 1))
      go:send(true)
      h2.eventually(function() return got == 65535 end)
      assert.equal(0, given(client, 1)) -- the script has not asked for more yet
      go:send(true)
      local total = 0
      while total < 65535 do
        local frame = assert(client:next())
        if frame.kind == h2.WINDOW_UPDATE and frame.stream == 1 then total = total + (">I4"):unpack(frame.payload) end
      end
      client:send(h2.frame(h2.DATA, h2.END_STREAM, 1, ""))
      assert.equal("65535", client:answer(1).body)
    end)
  end)

  it("that exceeds the window ends the stream", function()
    local gate = task.channel()
    h2.serve(function() gate:receive() return "x" end, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/")))
      fill(client, 1, 65535 + 100)
      assert.equal(h2.FLOW_CONTROL_ERROR, client:answer(1).reset or client:rest())
      gate:send(true)
    end)
  end)

  it("holds up no other one", function()
    local gate = task.channel()
    local function handler(req)
      if req.path == "/slow" then gate:receive() end
      return tostring(#req:body())
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      for i = 1, 39, 2 do -- more than the window of a connection has at first
        client:send(h2.headers(i, h2.fields("POST", "/slow")))
        fill(client, i, 65535)
      end
      client:send(h2.headers(41, h2.fields("POST", "/fast")))
      fill(client, 41, 65535)
      client:send(h2.frame(h2.DATA, h2.END_STREAM, 41, ""))
      assert.equal("65535", client:answer(41).body)
      for i = 1, 39, 2 do
        gate:send(true)
        client:send(h2.frame(h2.DATA, h2.END_STREAM, i, ""))
      end
      for i = 1, 39, 2 do assert.equal("65535", client:answer(i).body) end
    end)
  end)

  it("is read in pieces and whole, as long as it is", function()
    local function handler(req)
      if req.path == "/whole" then return tostring(#req:body(1 << 24)) end
      local n = 0
      for piece in req:chunks() do n = n + #piece end
      return tostring(n)
    end
    h2.serve(handler, {}, function(address)
      for _, path in ipairs { "/whole", "/pieces" } do
        local client <close> = h2.connect(address)
        client:send(h2.headers(1, h2.fields("POST", path)))
        local left, window, windows = 3000000, 65535, 0
        while left > 0 do
          while window <= 0 do
            local frame = client:next()
            if frame.kind == h2.WINDOW_UPDATE and frame.stream == 1 then window, windows = window + (">I4"):unpack(frame.payload), windows + 1 end
          end
          local n = math.min(left, window, #FRAME)
          client:send(h2.frame(h2.DATA, left == n and h2.END_STREAM or 0, 1, FRAME:sub(1, n)))
          left, window = left - n, window - n
        end
        assert.equal("3000000", client:answer(1).body)
        assert.is_true(windows > 3)
      end
    end)
  end)

  it("may be too large, by what it announces or by what comes", function()
    local function handler(req) return tostring(#req:body()) end
    h2.serve(handler, { max_body = 1000 }, function(address)
      assert.equal(413, h2.ask(address, h2.headers(1, h2.fields("POST", "/", { { "content-length", "1001" } }))).status)
      assert.equal(413, h2.ask(address, h2.headers(1, h2.fields("POST", "/")), h2.frame(h2.DATA, 0, 1, FRAME)).status)
      assert.equal("1000", h2.ask(address, h2.post(1, "/", ("b"):rep(1000), { { "content-length", "1000" } })).body)
    end)
  end)

  it("that nobody reads is not waited for: the stream ends behind the answer", function()
    h2.serve(function() return "answer" end, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/")), h2.frame(h2.DATA, 0, 1, "begun"))
      local answer = client:answer(1)
      assert.equal("answer", answer.body)
      assert.is_true(answer.ended)
      assert.is_true(client:watch(function() return answer.reset end))
      assert.equal(h2.NO_ERROR, answer.reset)
      client:send(h2.frame(h2.DATA, h2.END_STREAM, 1, "late"), GET(3, "/")) -- what was on its way does no harm
      assert.equal("answer", client:answer(3).body)
    end)
  end)

  it("has trailers, and none that are malformed", function()
    local function handler(req)
      local ok, body = pcall(req.body, req)
      return ok and body .. (req:trailers() or {})["x-sum"] or "bad"
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      local function try(stream, trailers)
        client:send(h2.headers(stream, h2.fields("POST", "/")), h2.frame(h2.DATA, 0, stream, "body"), h2.headers(stream, trailers, h2.END_STREAM))
        return client:answer(stream)
      end
      assert.equal("body7", try(1, { { "x-sum", "7" } }).body)
      assert.equal(h2.PROTOCOL_ERROR, try(3, { { ":path", "/" } }).reset)
      assert.equal(h2.PROTOCOL_ERROR, try(5, { { "x-sum", "7\n" } }).reset)
      assert.equal(h2.PROTOCOL_ERROR, try(7, { { "x-sum", ("v"):rep(17000) } }).reset)
      assert.equal("body7", try(9, { { "x-sum", "7" } }).body)
    end)
  end)
end)

describe("the body of a response of HTTP/2", function()
  it("leaves as the client's windows have room", function()
    h2.serve(function() return ("x"):rep(100) end, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true, settings = { [h2.INITIAL_WINDOW_SIZE] = 10 } })
      client:send(GET(1, "/"))
      assert.is_true(client:watch(function() return client.answers[1] and #client.answers[1].body == 10 end))
      given(client, 1)
      assert.equal(10, #client.answers[1].body)
      client:send(h2.window(1, 50))
      assert.is_true(client:watch(function() return #client.answers[1].body == 60 end))
      client:send(h2.settings { [h2.INITIAL_WINDOW_SIZE] = 50 })
      assert.equal(100, #client:answer(1).body)
    end)
  end)

  it("of one stream holds up no other, whichever is slow", function()
    local written = 0
    local function handler(req)
      if req.path == "/small" then return "small" end
      return response.stream(function(out)
        for _ = 1, 40 do
          out:write(FRAME)
          written = written + 1
        end
      end)
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true })
      client:send(h2.window(0, 1 << 30), GET(1, "/large"))
      assert.is_true(client:watch(function() return client.answers[1] and #client.answers[1].body == 65535 end))
      for i = 3, 99, 2 do
        client:send(GET(i, "/small"))
        assert.equal("small", client:answer(i).body)
      end
      assert.is_true(written < 15, written) -- the window's four, those that wait, and the one that is too much
      client:send(h2.window(1, 1 << 30))
      assert.equal(40 * #FRAME, #client:answer(1).body)
    end)
  end)

  it("is not written to a client that takes nothing, without bound", function()
    local written, failed = 0, nil
    local function handler()
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function(_, err) failed = err.code end })
        while true do
          out:write(FRAME)
          written = written + 1
        end
      end)
    end
    h2.serve(handler, { write_timeout = 0.4 }, function(address)
      local client <close> = h2.connect(address, { stingy = true, settings = { [h2.INITIAL_WINDOW_SIZE] = (1 << 31) - 1 } })
      client:send(h2.window(0, (1 << 31) - 1 - 65535), GET(1, "/"))
      h2.eventually(function() return failed end) -- and meanwhile the client reads nothing
      assert.is_truthy(failed == "EPIPE" or failed == "ECANCELED", failed)
      assert.is_true(written < 2000, written)
    end)
  end)

  it("comes in fair shares", function()
    local begun, gate = 0, task.channel()
    local function handler()
      begun = begun + 1
      gate:receive()
      return ("x"):rep(400000)
    end
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true, settings = { [h2.INITIAL_WINDOW_SIZE] = 1 << 30 } })
      client:send(GET(1, "/"), GET(3, "/"), h2.window(0, 1 << 30))
      h2.eventually(function() return begun == 2 end)
      gate:close()
      assert.is_true(client:watch(function() return client.answers[3] and client.answers[3].ended end))
      assert.is_true(#client.answers[1].body > 100000)
      client:answer(1)
    end)
  end)

  it("may be a file, whole and in parts", function()
    local dir <close> = fs.temp_dir()
    local path = fs.join(dir.path, "file")
    local bytes = {}
    for i = 1, 40000 do bytes[i] = ("%07d\n"):format(i) end
    local text = table.concat(bytes)
    fs.write(path, text)
    h2.serve(function() return response.file(path) end, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"), GET(3, "/"), GET(5, "/", { { "range", "bytes=100000-299999" } }), h2.headers(7, h2.fields("HEAD", "/"), h2.END_STREAM))
      for _, stream in ipairs { 1, 3 } do
        local answer = client:answer(stream)
        assert.equal(tostring(#text), answer.headers["content-length"])
        assert.is_true(answer.body == text)
      end
      local part = client:answer(5)
      if part.status == 206 then assert.is_true(part.body == text:sub(100001, 300000)) end
      assert.equal("", client:answer(7).body)
    end)
  end)

  it("is cut when its file becomes shorter, or the client resets the stream; both close the file", function()
    local dir <close> = fs.temp_dir()
    local path = fs.join(dir.path, "file")
    fs.write(path, ("x"):rep(2000000))
    h2.serve(function() return response.file(path) end, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true })
      client:send(GET(1, "/"), GET(3, "/"))
      assert.is_true(client:watch(function() return client.answers[1] and #client.answers[1].body > 1000 end))
      client:send(h2.reset(3, h2.CANCEL))
      io.open(path, "w"):write("short"):close()
      client:send(h2.window(0, 1 << 30), h2.window(1, 1 << 30))
      assert.equal(h2.INTERNAL_ERROR, client:answer(1).reset)
      client:send(GET(5, "/"))
      assert.equal("short", client:answer(5).body)
    end)
  end)
end)
