-- SPDX-License-Identifier: MIT
-- What --dev shows, it showed to others as well. An error whose text quotes the client, `error("unknown thing: " .. req.query.q)`
-- with "error loading module\n/etc/passwd:5: " in q, was taken for one about that file, and the page had its text. Any Host was
-- served, so that a page of the web could read it all by making its own name mean 127.0.0.1 (DNS rebinding), and the news of
-- edits went to pages of any site. And a body of 20 KB took 6 seconds to be searched for passwords.
local capture = require "green.dev.capture"
local fs = require "green.fs"
local growth = require "growth"
local http = require "green.http"
local page = require "green.dev.page"
local raw = require "http.raw"
local serve = require "process"
local test = require "green.test"
local url = require "green.url"

describe("--dev", function()
  local dir
  before_each(function() dir = fs.temp_dir() end)
  after_each(function() dir:close() end)

  local function path(name) return fs.join(dir.path, name) end

  local function start(files, options)
    for name, text in pairs(files) do fs.write(path(name), text) end
    return serve(path "app.lua", { LUA_PATH = path "?.lua" .. ";;" }, options or { flags = "--dev" })
  end

  local THROWS = { ["app.lua"] = [[
    local app = require "green.app".new()
    app:get("/text", function(req) error("unknown thing: " .. req.query.q) end)
    app:get("/bare", function(req) error(req.query.q, 0) end)
    app:get("/object", function(req) error({ message = req.query.q }) end)
    app:get("/named", function(req) load("error 'x'", req.query.q)() end)
    app:get("/module", function(req) return require "broken" end)
    return app
  ]], ["broken.lua"] = "local broken_here = 1\nreturn return", ["private.txt"] = "1\n2\n3\nprivate words\n5" }

  it("quotes no file because a message says so", function()
    local app <close> = start(THROWS)
    local file = path "private.txt"
    for _, q in ipairs {
      "error loading module\n" .. file .. ":4: ", file .. ":4: ", "error loading module 'm' from file '" .. file .. "':\n\t" .. file .. ":4: x", "\n" .. file .. ":4: near",
      "@" .. file, "=" .. file,
    } do
      for _, route in ipairs { "/text", "/bare", "/object", "/named" } do
        for _, accept in ipairs { "text/html", "text/plain" } do
          local res = http.get(app.url .. route .. "?q=" .. url.encode(q), { headers = { accept = accept } })
          assert.equal(500, res.status)
          assert.is_nil(res.body:find("private words", 1, true), route .. " " .. q)
        end
      end
    end
    assert.matches("error%(\"unknown thing", http.get(app.url .. "/text?q=x").body)
    assert.matches("local broken_here = 1\n.*>%s+2%s+return return", http.get(app.url .. "/module").body)
  end)

  it("writes nothing to the terminal that somebody else made up", function()
    local app <close> = start(THROWS)
    http.get(app.url .. "/bare?q=" .. url.encode "a\ngreenlua: serving forged\27[31m\xc2\x9b31m\xff\7\127\r\u{e9}")
    local _, said = app:stop()
    local message = assert(said:match "^(greenlua: GET /bare: .-\u{e9})\n", said)
    assert.equal("greenlua: GET /bare: a\n\tgreenlua: serving forged\\x1b[31m\\u{9b}31m?\\x07\\x7f\\x0d\u{e9}", message)
  end)

  it("answers for hosts that nobody else can name", function()
    local app <close> = start { ["app.lua"] = "return function() return 'shown' end" }
    local port = app.address:match ":(%d+)$"
    local function ask(host, target) return raw.ask(app.address, ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(target or "/", host)) end
    for _, host in ipairs { "localhost", "LocalHost:" .. port, "127.0.0.1", "127.9.8.7:1", "[::1]", "[::1]:80" } do assert.equal("shown", ask(host).body, host) end
    for _, host in ipairs {
      "evil.example", "evil.example:" .. port, "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost", "192.168.1.1", "0.0.0.0", "[::2]", "127.evil.example",
      "0x7f000001", "2130706433",
    } do
      for _, target in ipairs { "/", "/.greenlua/dev", "/.greenlua/dev.js" } do
        local res = ask(host, target)
        assert.equal(403, res.status, host)
        assert.matches("localhost", res.body)
        assert.is_nil(res.body:find("shown", 1, true))
      end
    end
    assert.equal(403, raw.ask(app.address, "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status)
    assert.equal("shown", raw.ask(app.address, "GET / HTTP/1.0\r\n\r\n").body)
  end)

  it("answers for the host that --listen named", function()
    local function allowed(address, host)
      package.loaded["green.dev.guard"] = nil
      local guard = require "green.dev.guard"
      guard.allow(address)
      return guard.is_allowed(host) or false
    end
    assert.same({ true, true, false }, { allowed("0.0.0.0:80", "192.168.1.1:80"), allowed("[::]:80", "[fe80::1]"), allowed("0.0.0.0:80", "evil.example") })
    assert.same({ true, true, false }, { allowed("Box.local:80", "box.LOCAL:81"), allowed("192.168.1.1:80", "192.168.1.1"), allowed("192.168.1.1:80", "192.168.1.2") })
    assert.same({ true, false }, { allowed("unix:/x", "localhost"), allowed("unix:/x", "x") })
    for _, host in ipairs { "a@box.local", "box.local/", "box.local?", "box.local#", "evil\\@box.local", "box.local\0", "box%2elocal", "" } do
      assert.is_false(allowed("box.local:80", host), host)
    end
  end)

  it("tells its own pages only what is new", function()
    local app <close> = start { ["app.lua"] = "return function() return 'shown' end" }
    local function status(headers)
      local client <close> = raw.connect(app.address)
      client:send("GET /.greenlua/dev?old HTTP/1.1\r\nHost: ", app.address, "\r\n", headers or "", "\r\n")
      return client:answer().status
    end
    local own = "Origin: http://" .. app.address .. "\r\n"
    assert.same({ 200, 200, 200 }, { status(), status(own), status(own .. "Sec-Fetch-Site: same-origin\r\n") })
    for _, headers in ipairs {
      "Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: http://127.0.0.1:1\r\n",
      "Origin: https://" .. app.address .. "\r\n",
    } do assert.equal(403, status(headers), headers) end
  end)
end)

describe("the page of an error", function()
  local function shown(body, kind)
    local req = test.request { method = "POST", body = body, headers = { ["content-type"] = kind or "text/plain" } }
    return page.answer(capture.report "oops", req).body
  end

  it("hides what names say is secret", function()
    for _, body in ipairs {
      "user=x&password=hunter2&b=1", '{"user": "x", "password" : "hunter2"}', "my-api-key: a\nmy-token:hunter2\n", "passwort = 'hunter2'", "a=password=hunter2",
      "password\t \n:\n hunter2", "token=hunter2",
    } do
      local text = shown(body)
      assert.is_nil(text:find("hunter2", 1, true), body)
      assert.matches("%(hidden%)", text)
    end
    assert.matches("words about a password, and more", shown "words about a password, and more")
    assert.matches('"b": "seen"', shown '{"token": "x", "b": "seen"}')
  end)

  for _, piece in ipairs { "a", "a-", "password ", " ", "a \"", "=", "token=", "password\n" } do
    it(("takes time in proportion to a body of %q"):format(piece), function()
      growth.is_linear(function(text) shown(text) end, function(n) return piece:rep(n // #piece) end, 20000)
    end)
  end
end)
