-- SPDX-License-Identifier: MIT
-- Needs: legacy
-- app:wsapi: applications of the specification, and those written with Debian's wsapi.request and wsapi.response.
require "helper"
local each = require "each"
local http = require "green.http"
local new_app = require "green.app".new
local raw = require "http.raw"
local shell = require "shell"
local task = require "green.task"

local WAIT = 60 -- seconds for what takes none

-- Calls fn with the environment that this request leads to.
local function with_env(spec, fn, prefix)
  local app, called = new_app(), false
  app:wsapi(prefix or "/", function(env)
    called = true
    fn(env)
    return 200, {}, each "ok"
  end)
  local answer = app:inject(spec)
  assert.equal(200, answer.status, answer.error)
  assert.is_true(called)
end

local function answered(run, spec)
  local app = new_app()
  app:wsapi("/", run)
  return app:inject(spec or "/")
end

local function served(run, fn)
  local app = new_app()
  app:wsapi("/app", run)
  local server = app:listen "127.0.0.1:0"
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  fn(server:address())
end

describe("the environment", function()
  it("has the metavariables of CGI", function()
    with_env({ path = "/shop/a%20b/c?x=1&y=%20", headers = { host = "example.org:8081", ["x-a-b"] = "c", cookie = "k=v" } }, function(env)
      local want = {
        REQUEST_METHOD = "GET", SCRIPT_NAME = "/shop", PATH_INFO = "/a b/c", QUERY_STRING = "x=1&y=%20", GATEWAY_INTERFACE = "CGI/1.1",
        SERVER_NAME = "example.org", SERVER_PORT = "8081", SERVER_PROTOCOL = "HTTP/1.1", SERVER_SOFTWARE = "greenlua",
        REQUEST_URI = "/shop/a%20b/c?x=1&y=%20", HTTP_X_A_B = "c", HTTP_COOKIE = "k=v", HTTP_HOST = "example.org:8081",
      }
      for name, value in pairs(want) do assert.equal(value, env[name], name) end
    end, "/shop")
  end)

  it("has the empty string for what was not sent", function()
    with_env("/", function(env)
      for _, name in ipairs { "CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER", "AUTH_TYPE", "PATH_TRANSLATED", "QUERY_STRING", "HTTPS", "HTTP_ACCEPT", "NOTHING" } do
        assert.equal("", env[name], name)
      end
    end)
  end)

  it("says where the app is, and what of the path is its own", function()
    local cases = {
      { "/", "/", "", "/" }, { "/", "/a/", "", "/a/" }, { "/shop", "/shop", "/shop", "/" }, { "/shop", "/shop/", "/shop", "/" },
      { "/shop/", "/shop/a", "/shop", "/a" }, { "/a/b", "/a/b/c/d", "/a/b", "/c/d" }, { "/of/:who", "/of/ann/x", "/of/ann", "/x" },
      { "/shop", "/shop/a%2Fb", "/shop", "/a/b" }, { "", "/x", "", "/x" },
    }
    for _, case in ipairs(cases) do
      with_env(case[2], function(env) assert.same({ case[3], case[4] }, { env.SCRIPT_NAME, env.PATH_INFO }) end, case[1])
    end
  end)

  it("is within the prefix of a group", function()
    local app = new_app()
    app:group("/api", function(api) api:wsapi("/v1", function(env) return 200, {}, each(env.SCRIPT_NAME, " ", env.PATH_INFO) end) end)
    assert.equal("/api/v1 /x", app:inject("/api/v1/x").body)
  end)

  it("is asked by every method", function()
    local app = new_app()
    app:wsapi("/", function(env) return 200, { ["X-Method"] = env.REQUEST_METHOD }, each(env.REQUEST_METHOD) end)
    for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND" } do
      assert.equal(method, app:inject { method = method, path = "/x" }.headers["x-method"])
    end
  end)

  it("takes no header for another, and none for a setting", function()
    with_env({ path = "/", headers = { proxy = "http://evil/", ["x_a"] = "forged", ["x-a"] = "true", ["content-type"] = "a/b" }, method = "POST", body = "x" }, function(env)
      assert.same({ "", "true", "a/b", "" }, { env.HTTP_PROXY, env.HTTP_X_A, env.CONTENT_TYPE, env.HTTP_CONTENT_TYPE })
    end)
  end)

  it("knows the client, and TLS", function()
    served(function(env) return 200, {}, each(env.REMOTE_ADDR, " ", env.SERVER_NAME, ":", env.SERVER_PORT, " ", env.HTTPS) end, function(address)
      assert.equal("127.0.0.1 " .. address .. " ", http.get("http://" .. address .. "/app").body)
    end)
  end)
end)

describe("the input", function()
  local function read_by(spec, fn)
    with_env(spec, function(env) fn(env.input, env) end)
  end

  it("is read by pieces, and whole", function()
    local spec = { method = "POST", path = "/", body = "0123456789" }
    read_by(spec, function(input, env)
      assert.equal("10", env.CONTENT_LENGTH)
      assert.same({ "012", "3456789" }, { input:read(3), input:read(100) })
      assert.is_nil(input:read(1))
      assert.is_nil(input:read())
    end)
    read_by(spec, function(input)
      assert.equal("0123456789", input:read())
      assert.is_nil(input:read())
    end)
    read_by(spec, function(input) assert.same({ "01", "23456789" }, { input:read(2), input:read() }) end)
    read_by(spec, function(input) assert.is_nil(input:read(0)) end)
    read_by(spec, function(input)
      for i = 0, 9 do assert.equal(tostring(i), input:read(1)) end
      assert.is_nil(input:read(1))
    end)
  end)

  it("is nothing where there is no body", function()
    read_by("/", function(input) assert.is_nil(input:read()) assert.is_nil(input:read(5)) end)
    read_by({ method = "POST", path = "/", body = "" }, function(input) assert.is_nil(input:read(5)) end)
  end)

  it("refuses what is no number of bytes", function()
    read_by({ method = "POST", path = "/", body = "x" }, function(input)
      for _, wrong in ipairs { -1, 1.5, "*a", {} } do assert.matches("input:read: a number of bytes expected", select(2, pcall(input.read, input, wrong))) end
    end)
  end)

  it("is what the client sends, as it sends it, in pieces of any size", function()
    local text = ("0123456789"):rep(30000)
    local function echo(env)
      return 200, {}, function() return env.input:read(70001) end
    end
    served(echo, function(address)
      local answer = http.post("http://" .. address .. "/app/x", { body = text })
      assert.is_true(answer.body == text)
    end)
  end)

  it("has a length when it comes in chunks, too", function()
    served(function(env) return 200, {}, each(env.CONTENT_LENGTH, " ", env.input:read(tonumber(env.CONTENT_LENGTH))) end, function(address)
      local client <close> = raw.connect(address)
      client:send "POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
      assert.equal("7 abcdefg", client:answer().body)
      client:send("POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", ("%x\r\n%s\r\n"):format(1100000, ("x"):rep(1100000)), "0\r\n\r\n")
      assert.equal(413, client:answer().status)
    end)
  end)
end)

describe("the error stream", function()
  it("is the log, line by line", function()
    local _, err = shell("$lua x.lua", { ["x.lua"] = [[
      local app = require "green.app".new()
      app:wsapi("/", function(env)
        env.error:write("one ", 1, "\ntw"):write "o\nth"
        return 200, {}, function() env.error:write "ree" end
      end)
      app:inject "/x"]] })
    local lines = {}
    for line in err:gmatch "[^\n]+" do lines[#lines + 1] = line:match "GET /x: (.*)$" end
    assert.same({ "one 1", "two", "three" }, lines)
  end)
end)

describe("the answer", function()
  it("has a status by number or by text", function()
    for status, want in pairs { [200] = 200, ["404"] = 404, ["201 Created"] = 201, ["599 What"] = 599, ["200 "] = 200 } do
      assert.equal(want, answered(function() return status, {}, each "x" end).status)
    end
    assert.equal(200, answered(function() return 200.0, {}, each "x" end).status)
  end)

  it("is a failure if it is none", function()
    local wrong = {
      { "status", nil }, { "status", 99 }, { "status", 100 }, { "status", 600 }, { "status", "OK" }, { "status", 200.5 }, { "status", {} }, { "status", "2000" },
      { "headers", 200, 5 }, { "iterator", 200, {}, "text" }, { "iterator", 200, {}, {} }, { "Content%-Length", 200, { ["Content-Length"] = "x" }, each() },
    }
    for _, case in ipairs(wrong) do
      local answer = answered(function() return table.unpack(case, 2, 4) end)
      assert.equal(500, answer.status)
      assert.matches("the app returned .*" .. case[1], tostring(answer.error))
    end
    assert.equal(500, answered(function() error "x" end).status)
    assert.equal(500, answered(function() return 200, { ["X-A"] = "a\r\nX-B: c" }, each "x" end).status)
  end)

  it("has headers, several of a name from a list or in two spellings", function()
    local answer = answered(function()
      return 200, { ["Content-Type"] = "text/x", ["Set-Cookie"] = { "a=1", "b=2" }, ["X-N"] = 7, ["X-Yes"] = true }, each "x"
    end)
    assert.same({ "text/x", "7", "true" }, { answer.headers["content-type"], answer.headers["x-n"], answer.headers["x-yes"] })
    served(function() return 200, { ["Set-Cookie"] = { "a=1", "b=2" }, ["X-A"] = "1", ["x-a"] = "2" }, each "x" end, function(address)
      local got = http.get("http://" .. address .. "/app")
      assert.same({ "a=1", "b=2" }, got.headers:all "set-cookie")
      local both = got.headers:all "x-a"
      table.sort(both)
      assert.same({ "1", "2" }, both)
    end)
  end)

  it("lacks the headers that are the connection's", function()
    served(function()
      return 200, { Connection = "close, X-Drop", ["X-Drop"] = "1", ["Transfer-Encoding"] = "gzip", ["Keep-Alive"] = "x", Upgrade = "y", Trailer = "z" }, each "x"
    end, function(address)
      local client <close> = raw.connect(address)
      for _ = 1, 2 do
        client:send(raw.get "/app")
        local answer = client:answer()
        assert.equal("x", answer.body)
        for _, name in ipairs { "connection", "x-drop", "keep-alive", "upgrade", "trailer" } do assert.is_nil(answer.headers[name]) end
      end
    end)
  end)

  it("has the pieces of the iterator, whatever they are, to its first nil or false", function()
    assert.equal("a1true2.5", answered(function() return 200, {}, each("a", "", 1, true, 2.5) end).body)
    assert.equal("a", answered(function() return 200, {}, each("a", false, "b") end).body)
    assert.equal("", answered(function() return 200, {}, each() end).body)
    assert.equal("", answered(function() return 200, {} end).body)
    assert.equal("ab", answered(function() return 200, {}, coroutine.wrap(function() coroutine.yield "a" coroutine.yield "b" end) end).body)
    assert.equal("c", answered(function() return 200, {}, setmetatable({ each "c" }, { __call = function(self) return self[1]() end }) end).body)
  end)

  it("has no body where there must be none, and the iterator does not run", function()
    for _, spec in ipairs { { 200, "HEAD" }, { 204, "GET" }, { 304, "GET" } } do
      local ran = false
      local answer = answered(function() return spec[1], { ["Content-Length"] = spec[1] ~= 204 and "5" or nil }, function() ran = true return "x" end end, { method = spec[2], path = "/" })
      assert.same({ spec[1], "", false }, { answer.status, answer.body, ran })
    end
    served(function() return 200, { ["Content-Length"] = 5 }, each "12345" end, function(address)
      local client <close> = raw.connect(address)
      client:send "HEAD /app HTTP/1.1\r\nHost: x\r\n\r\n"
      assert.equal("5", client:answer(true).headers["content-length"])
      client:send(raw.get "/app")
      local answer = client:answer()
      assert.same({ "5", "12345", nil }, { answer.headers["content-length"], answer.body, answer.headers["transfer-encoding"] })
    end)
  end)

  it("leaves piece by piece, while the iterator waits", function()
    local go = task.channel()
    served(function()
      return 200, {}, coroutine.wrap(function()
        coroutine.yield "one"
        go:receive(WAIT)
        coroutine.yield "two"
      end)
    end, function(address)
      local pieces = {}
      for piece in http.get("http://" .. address .. "/app", { stream = true }):chunks() do
        pieces[#pieces + 1] = piece
        if #pieces == 1 then go:send(true) end
      end
      assert.same({ "one", "two" }, pieces)
    end)
  end)

  it("is 500 when the iterator fails before it began, and cut off afterwards", function()
    assert.equal(500, answered(function() return 200, {}, function() error "x" end end).status)
    local go = task.channel()
    served(function()
      return 200, {}, coroutine.wrap(function()
        coroutine.yield "one"
        go:receive(WAIT)
        error "x"
      end)
    end, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.get "/app")
      while not client.buffer:find("one", 1, true) do assert(client:more()) end
      go:send(true)
      while client:more() do end
      assert.is_nil(client.buffer:find("0\r\n\r\n", 1, true))
    end)
  end)

  it("serves many at once that wait", function()
    local inside, most = 0, 0
    served(function()
      inside = inside + 1
      most = math.max(most, inside)
      while most < 20 do task.sleep(0.001) end
      inside = inside - 1
      return 200, {}, each "x"
    end, function(address)
      local all = {}
      for i = 1, 20 do all[i] = i end
      for _, body in ipairs(task.map(all, function() return http.get("http://" .. address .. "/app").body end)) do assert.equal("x", body) end
    end)
  end)

  it("has the options of routes, and refuses others", function()
    local app = new_app()
    app:wsapi("/", function() while true do end end, { cpu_limit = 0.02 })
    assert.equal(503, task.spawn(app.inject, app, "/"):join(WAIT).status)
    assert.matches("unknown route option 'cpu'", select(2, pcall(app.wsapi, app, "/x", print, { cpu = 1 })))
    assert.matches("wsapi_spec.lua:%d+: app:wsapi: run: a function", select(2, pcall(function() app:wsapi("/x", 5) end)))
    app:wsapi("/module", { run = function() return 200, {}, each "module" end })
    assert.equal("module", app:inject("/module").body)
  end)
end)

-- ---- the library that applications are written with ----

describe("an application of Debian's lua-wsapi", function()
  local path = package.path

  setup(function() package.path = "/usr/share/lua/5.2/?.lua;" .. path end)

  teardown(function()
    package.path = path
    for name in pairs(package.loaded) do
      if name:find "^wsapi" then package.loaded[name] = nil end
    end
  end)

  local function run(env)
    local request, response = require "wsapi.request", require "wsapi.response"
    local req, res = request.new(env), response.new()
    if env.PATH_INFO == "/leave" then return res:redirect "/there" end
    res:write("name: ", req.params.name or "?", ", query: ", req.GET.q or "?", ", cookie: ", req.cookies.c or "?")
    local file = req.POST.file
    if type(file) == "table" then res:write(", file: ", file.name, " ", #file.contents) end
    res:set_cookie("seen", "1")
    res:set_cookie("more", { value = "2", path = "/" })
    return res:finish()
  end

  it("has its queries, forms, cookies and files", function()
    served(run, function(address)
      local url = "http://" .. address .. "/app"
      local got = http.get(url .. "/x?q=a%20b", { headers = { cookie = "c=d" } })
      assert.equal("name: ?, query: a b, cookie: d", got.body)
      assert.same({ "seen=1", "more=2; path=/" }, got.headers:all "set-cookie")
      assert.equal(tostring(#got.body), got.headers["content-length"])
      assert.equal("name: ann, query: ?, cookie: ?", http.post(url, { form = { name = "ann" } }).body)
      got = http.post(url, { multipart = { { name = "name", value = "bob" }, { name = "file", filename = "a.txt", contents = ("x"):rep(5000) } } })
      assert.equal("name: bob, query: ?, cookie: ?, file: a.txt 5000", got.body)
      got = http.get(url .. "/leave", { redirects = 0 })
      assert.same({ 302, "/there" }, { got.status, got.headers.location })
    end)
  end)

  it("answers as it does under its own connector", function()
    local common = require "wsapi.common"
    local out = {}
    local function write(_, text) out[#out + 1] = text end
    common.send_output({ write = write }, run(setmetatable({ PATH_INFO = "/", REQUEST_METHOD = "GET", QUERY_STRING = "q=1", input = { read = function() end } },
      { __index = function() return "" end })))
    local theirs = table.concat(out):match "\r\n\r\n(.*)$"
    assert.equal(theirs, answered(run, "/?q=1").body)
  end)
end)
