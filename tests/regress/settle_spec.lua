-- SPDX-License-Identifier: MIT
-- What a handler's value becomes was decided three times: by the server, by app:inject, by --dev. 10 of 16 odd answers differed: a
-- function was 500, or 200 "function: 0x7fca..." with a heap address for the client; JSON null "userdata: (nil)"; the answer of
-- http.get a dump of the object; error{status = "404"} 404 or 500. It is decided once (native.settle, native.failure).
local app = require "green.app"
local fault = require "green.error"
local http = require "green.http"
local json = require "green.json"
local native = require "green.http.native"
local raw = require "http.raw"
local response = require "green.response"
local process = require "process"

local function r(t) return setmetatable(t, native.response) end

-- In a process of its own, for what it says on stderr.
local ODD = [[
  local response = require "green.response"
  local json = require "green.json"
  local function r(t) return setmetatable(t, require "green.http.native".response) end
  return {
    number = function() return 5 end,
    ["true"] = function() return true end,
    ["false"] = function() return false end,
    ["function"] = function() return print end,
    closure = function() return function() end end,
    userdata = function() return io.stdout end,
    coroutine = function() return coroutine.create(print) end,
    null = function() return json.null end,
    ["second value"] = function() return "x", 404 end,
    ["second value after a table"] = function() return {}, 201 end,
    ["nil and an error"] = function() return nil, "no such order" end,
    ["header with a blank"] = function() return response.of(r { headers = { ["x y"] = "1" } }) end,
    ["header with a newline"] = function() return r { headers = { x = "a\nb" } } end,
    ["header that is no string"] = function() return r { headers = { x = true } } end,
    ["headers that are none"] = function() return r { headers = 1 } end,
    ["transfer-encoding"] = function() return r { headers = { ["transfer-encoding"] = "chunked" } } end,
    ["content-length"] = function() return r { headers = { ["content-length"] = -1 } } end,
    ["body that is a number"] = function() return r { body = 5 } end,
    ["status 99"] = function() return r { status = 99 } end,
    ["status 600"] = function() return r { status = 600 } end,
    ["status that is none"] = function() return r { status = "x" } end,
    ["json that is a function"] = function() return r { json = print } end,
    ["table with a function"] = function() return { print } end,
    ["short stream"] = function() return response.stream(function(out) out:write "abc" end, { headers = { ["content-length"] = 5 } }) end,
    ["long stream"] = function() return response.stream(function(out) out:write "abc" end, { headers = { ["content-length"] = 2 } }) end,
    ["error 600"] = function() error { status = 600 } end,
  ["error 200"] = function() error { status = 200 } end,
  ["error of a string"] = function() error "oops" end,
  ["error of nil"] = function() error() end,
  ["stream of a table"] = function() return response.stream(function(out) out:write {} end) end,
  }
]]

local FINE = {
  string = function() return "text" end,
  ["empty string"] = function() return "" end,
  ["nothing"] = function() end,
  ["nil"] = function() return nil end,
  table = function() return { a = 1 } end,
  ["data with a status"] = function() return { status = 404, body = "x" } end,
  array = function() return json.array {} end,
  ["two values of gsub"] = function() return (("a"):gsub("a", "b")) end,
  ["two tables"] = function() return { a = 1 }, { b = 2 } end,
  response = function() return response.json({ a = 1 }, 201, { ["X-A"] = "b" }) end,
  ["204 with a body"] = function() return r { status = 204, body = "x" } end,
  ["204 as a stream"] = function() return response.stream(function(out) out:write "x" end, { status = 204 }) end,
  ["304 with a length"] = function() return response.status(304, { ["content-length"] = "10", etag = '"a"' }) end,
  ["status that is a float"] = function() return r { status = 201.0, body = "x" } end,
  stream = function() return response.stream(function(out) out:write "a" out:write "b" end, { type = "text/csv" }) end,
  list = function() return response.text "x":header("x-list", { "a", "b" }) end,
  ["header that is a number"] = function() return response.text "x":header("x-n", 5) end,
  ["header in two cases"] = function() return r { body = "x", headers = { ["X-A"] = "1", ["x-b"] = "2" } } end,
  ["error 404"] = function() fault.status(404, "x", "ENOENT", "no \"such\" thing") end,
  ["error 404.0"] = function() error { status = 404.0, message = "x" } end,
  ['error "404"'] = function() error { status = "404", message = "x" } end,
  ["error without message"] = function() error { status = 409 } end,
}

local function route_of(name) return "/" .. name:gsub("[^%w]", "-") end

local function site(handlers)
  local a = app.new()
  for name, handler in pairs(handlers) do a:get(route_of(name), handler) end
  return a
end

local function text_of(value) return type(value) == "table" and table.concat(value, ", ") or value end

-- The part of an answer that must be the same.
local function compared(answer)
  local headers = {}
  for name, value in pairs(answer.headers) do headers[name] = text_of(value) end
  for _, name in ipairs { "date", "content-length", "connection", "transfer-encoding" } do headers[name] = nil end
  return { status = answer.status, body = answer.body, headers = headers }
end

local function over_socket(a, path, method)
  local server = a:listen "127.0.0.1:0"
  local client <close> = raw.connect(server:address())
  client:send(("%s %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(method or "GET", path))
  local answer = client:answer(method == "HEAD")
  server:abort()
  return answer
end

describe("what a handler returns", function()
  it("is the same for app:inject as for a client", function()
    local a = site(FINE)
    for name in pairs(FINE) do
      for _, method in ipairs { "GET", "HEAD" } do
        assert.same(compared(over_socket(a, route_of(name), method)), compared(a:inject { method = method, path = route_of(name) }), method .. " " .. name)
      end
    end
  end)

  it("and cannot be sent is 500 for both, and never an address", function()
    local out, err = raw.script("local ODD = (function()\n" .. ODD .. "end)()\n" .. [[
      local a = require "green.app".new()
      for name, handler in pairs(ODD) do a:get("/" .. name:gsub("%W", "-"), handler) end
      local server = a:listen "127.0.0.1:0"
      for name in pairs(ODD) do
        local path = "/" .. name:gsub("%W", "-")
        local answer, injected = raw.ask(server:address(), raw.get(path)), a:inject(path)
        if answer.status ~= 500 or injected.status ~= 500 or answer.body ~= injected.body then print(name, answer.status, injected.status, injected.body) end
      end
      server:abort()
      print "done"
    ]])
    assert.matches("^done\n$", out)
    for _, said in ipairs {
      "not a number", "not a boolean", "not a function", "not a userdata", "not a thread", "not JSON null",
      "second value, 404: for a status, return response.text%(value, status%)", "second value, 201: for a status, return response.json%(value, status%)",
      "returned nil and a string", "must be from 200 to 599, not 99\n", "must be an integer, not a string\n", "headers of a response must be a table, not a number",
    } do
      assert.matches(said, err)
    end
    assert.is_nil(out:find "0x%x")
  end)

  it("is converted by middleware as by the server", function()
    local a = app.new()
    a:use(function(req, next) return response.of(next(req)):header("x-seen", "yes") end)
    for name, handler in pairs(load(ODD)()) do a:get(route_of(name), handler) end
    a:get("/upstream", function() return site(FINE):inject "/response" end)
    for _, name in ipairs { "number", "true", "function", "userdata", "null" } do
      local answer = a:inject(route_of(name))
      assert.equal(500, answer.status, name)
      assert.matches("a handler must return", tostring(answer.error))
    end
    local answer = a:inject "/upstream"
    assert.same({ 201, '{"a":1}', "yes", "b" }, { answer.status, answer.body, answer.headers["x-seen"], answer.headers["x-a"] })
  end)

  it("may be a path that leaves its root for nobody", function()
    local a = app.new()
    a:get("/*path", function(req) return req.path end)
    for _, path in ipairs { "/a/../../b", "/..", "/a%00", "/a%4", "/a%zz", "/%2e%2e/a", "/a\\b" } do
      assert.same({ 400, over_socket(a, path).body }, { a:inject(path).status, a:inject(path).body }, path)
    end
    assert.same({ 404, over_socket(a, "/a/../b").body }, { a:inject("/a/../b").status, a:inject("/a/../b").body })
  end)
end)

describe("the answer of something else", function()
  local upstream = app.new()
  upstream:get("/json", function()
    return response.json({ n = 1 }, 201, { ["x-a"] = { "1", "2" }, connection = "close", ["keep-alive"] = "5", ["x-hop"] = "no" }):cookie("a", "b")
  end)
  upstream:get("/hop", function() return response.text "x" end)
  upstream:get("/nothing", function() end)
  upstream:get("/404", function() return response.text("nowhere", 404) end)
  upstream:get("/stream", function() return response.stream(function(out) for i = 1, 3 do out:write(("%d"):format(i):rep(1000)) end end, { type = "text/csv" }) end)

  local function forwarding(address)
    local a = app.new()
    local function url(req) return "http://" .. address .. "/" .. req.params.path end
    a:get("/get/*path", function(req) return http.get(url(req)) end)
    a:get("/stream/*path", function(req) return http.get(url(req), { stream = true }) end)
    a:get("/inject/*path", function(req) return upstream:inject("/" .. req.params.path) end)
    return a
  end

  it("is answered as it is: status, headers that are meant for the other end, body", function()
    local server = upstream:listen "127.0.0.1:0"
    local a = forwarding(server:address())
    for _, way in ipairs { "get", "stream", "inject" } do
      for name, ask in pairs { socket = over_socket, inject = function(site_, path) return site_:inject(path) end } do
        local what = way .. " " .. name
        local answer = ask(a, "/" .. way .. "/json")
        assert.same({ 201, '{"n":1}', "application/json" }, { answer.status, answer.body, answer.headers["content-type"] }, what)
        assert.equal("1, 2", text_of(answer.headers["x-a"]), what)
        assert.is_nil(answer.headers["keep-alive"], what)
        assert.matches("^a=b;", text_of(answer.headers["set-cookie"]), what)
        answer = ask(a, "/" .. way .. "/404")
        assert.same({ 404, "nowhere" }, { answer.status, answer.body }, what)
        answer = ask(a, "/" .. way .. "/nothing")
        assert.same({ 204, "" }, { answer.status, answer.body }, what)
        answer = ask(a, "/" .. way .. "/stream")
        assert.same({ 200, 3000, "text/csv" }, { answer.status, #answer.body, answer.headers["content-type"] }, what)
      end
    end
    server:abort()
    server:finish(20)
  end)

  it("leaves out what its Connection lists", function()
    local one = native.listen("127.0.0.1:0", function() return "unused" end)
    one:abort()
    local net = require "green.net"
    local listener <close> = net.listen "127.0.0.1:0"
    local task = require "green.task"
    local serving = task.spawn(function()
      local socket <close> = listener:accept(20)
      socket:read(65536, 20)
      socket:write "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: secret\r\nX-End: told\r\nContent-Length: 2\r\n\r\nok"
    end)
    local a = app.new()
    a:get("/", function() return http.get("http://" .. listener:address()) end)
    local answer = over_socket(a, "/")
    serving:join()
    assert.same({ 200, "ok", "told" }, { answer.status, answer.body, answer.headers["x-end"] })
    assert.is_nil(answer.headers["x-hop"])
  end)
end)

describe("--dev", function()
  it("answers the same, and says once that a table with a status is data", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local app = require "green.app".new()
      app:get("/data", function() return { status = 404, body = "x" } end)
      app:get("/order", function() return { status = "new", body = "x" } end)
      app:get("/told", function() error { status = "404", message = "nowhere" } end)
      app:get("/stream", function() return require "green.response".stream(function(out) out:write "a" end) end)
      app:get("/closing", function() return require "green.response".text "x":header("connection", "close") end)
      return app
    ]]
    file:close()
    local server <close> = process(path, nil, { flags = "--dev" })
    for _ = 1, 2 do
      local answer = raw.ask(server.address, "GET /data HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      assert.equal(200, answer.status)
      assert.same({ status = 404, body = "x" }, json.decode(answer.body))
    end
    local function get(name) return raw.ask(server.address, ("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):format(name)) end
    assert.equal(200, get("/order").status)
    assert.equal(404, get("/told").status)
    assert.equal("a", get("/stream").body)
    assert.equal("close", get("/closing").headers.connection)
    local code, said = server:stop()
    assert.equal(0, code)
    local _, times = said:gsub("GET /data: a table is sent as JSON, also this one with a status: response.text%(body, 404%)", "")
    assert.equal(1, times)
    assert.is_nil(said:find("GET /order", 1, true))
  end)
end)
