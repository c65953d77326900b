-- SPDX-License-Identifier: MIT
-- What handlers return, byte by byte; handlers that fail; answers for slow readers.
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local GET, get, eventually, failure, script = raw.GET, raw.get, raw.eventually, raw.failure, raw.script

-- Waits until the figure, which begins with 0, does not change any more.
local function settled(figure)
  local last, same = nil, 0
  repeat
    task.sleep(0.001)
    local now = figure()
    same = now == last and same + 1 or 0
    last = now
  until same == 50 and last > 0
  return last
end

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
    assert.matches("^%S+Z error: POST /fail %[%x+%]: script.lua:3: secret 42\n\tstack traceback:\n[^%z]-\n\t%(%.%.%.task %d+%)\n", err)
    assert.matches("in [%a ]*'broken'", err)
    assert.matches("error: POST /object %[%x+%]: { code = 7 }", err)
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
    local _, records = err:gsub("%f[^\n\0]%S+Z error: GET / %[%x+%]: ", "")
    assert.equal(36, records)
    assert.matches("a handler must return a string, a table, a response or nothing, not a boolean", err)
    assert.matches("response header 'a' contains a line break or another control character", err)
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
    assert.matches("GET /chunked %[%x+%]: script.lua:6: oops", err)
    assert.matches("GET /short %[%x+%]: .*2 bytes short of its Content%-Length", err)
    assert.matches("GET /long %[%x+%]: .*longer than its Content%-Length", err)
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
        task.spawn(function()
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
