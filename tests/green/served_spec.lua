-- SPDX-License-Identifier: MIT
-- What only the real server can show: answers on the wire, and that settling a file waits where it may.
local debug = require "green.debug"
local frames = require "http.frames"
local eventually = require("outcome").eventually
local net = require "green.net"
local new_app = require("green.app").new
local response = require "green.response"
local task = require "green.task"

local LIMIT = 60 -- seconds no step of these tests needs

local function write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

describe("a served app", function()
  local server, path
  local big = ("0123456789abcdef"):rep(20000)

  setup(function()
    path = os.tmpname()
    write(path, big)
    local app = new_app()
    app:use(function(req, next) return response.of(next(req)):header("x-seen", req.params.id or "-") end)
    app:get("/file", function() return response.file(path, { type = "application/x-test" }) end)
    app:get("/p/:id", function(req) return { id = req.params.id, q = req.query.q } end)
    app:post("/parts", function(req)
      local out = {}
      for part in req:parts() do out[#out + 1] = part.name .. "=" .. #part:body() end
      return table.concat(out, ",")
    end)
    app:get("/events", function()
      return response.events(function(events)
        for i = 1, 3 do
          events:send { id = i, data = "e" .. i }
          task.sleep(0)
        end
      end)
    end)
    app:post("/size", function(req)
      local size, next_chunk = 0, (req:chunks())
      for bytes in next_chunk do size = size + #bytes end
      return tostring(size)
    end)
    app:ws("/who", function(ws, req) ws:send(req.remote) end)
    server = app:listen "127.0.0.1:0"
  end)

  teardown(function()
    server:finish(LIMIT)
    os.remove(path)
  end)

  -- Head and body of the answer to one request on a connection of its own.
  local function ask(line, headers, body)
    local socket = net.connect(server:address(), LIMIT)
    socket:write(line .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" .. (headers or "") .. "\r\n" .. (body or ""), LIMIT)
    local pieces = {}
    for bytes in function() return socket:read(65536, LIMIT) end do pieces[#pieces + 1] = bytes end
    socket:close()
    local head, rest = table.concat(pieces):match("^(.-\r\n)\r\n(.*)$")
    return head:lower(), rest
  end

  it("hands a body on as an iterator", function()
    local _, body = ask("POST /size", "Content-Length: 5\r\n", "12345")
    assert.equal("5", body)
  end)

  it("knows whose WebSocket it is", function()
    local client = frames.connect(server:address(), { path = "/who" })
    assert.matches("^127%.0%.0%.1:%d+$", client:message())
    client:farewell()
    client:close()
  end)

  it("sends a whole file, a range, or nothing new", function()
    local head, body = ask "GET /file"
    assert.matches("^http/1.1 200", head)
    assert.matches("\r\ncontent%-length: 320000\r\n", head)
    assert.matches("\r\nx%-seen: %-\r\n", head)
    assert.is_true(body == big)
    local etag = head:match("\r\netag: ([^\r]*)")
    head, body = ask("GET /file", "Range: bytes=1-3\r\n")
    assert.matches("^http/1.1 206", head)
    assert.equal("123", body)
    head, body = ask("GET /file", "If-None-Match: " .. etag .. "\r\n")
    assert.matches("^http/1.1 304", head)
    assert.equal("", body)
    head, body = ask "HEAD /file"
    assert.matches("\r\ncontent%-length: 320000\r\n", head)
    assert.equal("", body)
  end)

  it("finds routes with parameters, and says what it has not", function()
    local head, body = ask "GET /p/a%2Fb?q=x+y"
    assert.matches("x%-seen: a/b", head)
    assert.equal("x y", require("green.json").decode(body).q)
    assert.matches("^http/1.1 404.*x%-seen", (ask "GET /none"))
    assert.matches("^http/1.1 405.*allow: get, head, options\r\n", (ask "POST /file"))
    assert.matches("^http/1.1 204.*allow: get, head, options\r\n", (ask "OPTIONS /p/1"))
    assert.matches("^http/1.1 400", (ask "GET /p/1?q=%zz"))
  end)

  it("reads parts as they come", function()
    local text = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n" .. big .. "\r\n--b\r\nContent-Disposition: form-data; name=e\r\n\r\n\r\n--b--"
    local _, body = ask("POST /parts", ("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n"):format(#text), text)
    assert.equal("a=320000,e=0", body)
    assert.matches("^http/1.1 415", (ask("POST /parts", "Content-Length: 1\r\n", "x")))
  end)

  it("sends events as they happen", function()
    local head, body = ask "GET /events"
    assert.matches("content%-type: text/event%-stream\r\n", head)
    assert.matches("id: 1\ndata: e1\n\n.*id: 3\ndata: e3\n\n", body)
  end)

  it("closes the file when the client goes away in the middle", function()
    collectgarbage()
    local before = debug.census().handles
    local socket = net.connect(server:address(), LIMIT)
    socket:write("GET /file HTTP/1.1\r\nHost: x\r\n\r\n", LIMIT)
    socket:read(100, LIMIT)
    socket:close()
    eventually(function() -- fewer: a connection of the test before was still being closed
      collectgarbage()
      return debug.census().handles <= before
    end, "the file is closed")
  end)
end)
