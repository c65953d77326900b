-- SPDX-License-Identifier: MIT
-- The HTTP client against real servers (peer.js, in node).
-- Needs: node
local http = require "green.http"
local outcome = require "outcome"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local dir, peer, pid, base, other, secure

local function make_certificate()
  local command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost "
    .. "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s/key.pem -out %s/cert.pem 2>/dev/null"
  assert(os.execute(command:format(dir, dir)))
end

local function echo(method, opts, path) return http.request(method, base .. (path or "/echo"), opts):json() end

-- The port of a server that is gone.
local function dead_port()
  local script = "const s=require('net').createServer().listen(0,'127.0.0.1',()=>{console.log(s.address().port);s.close()})"
  local pipe = io.popen('node -e "' .. script .. '"')
  local port = pipe:read("n")
  pipe:close()
  return port
end

describe("green.http", function()
  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    make_certificate()
    peer = io.popen(("exec node %speer.js %s/key.pem %s/cert.pem"):format(here, dir, dir))
    local a, b, c
    pid, a, b, c = peer:read("n", "n", "n", "n")
    base = ("http://127.0.0.1:%d"):format(a)
    other = ("http://127.0.0.1:%d"):format(b)
    secure = ("https://localhost:%d"):format(c)
  end)

  teardown(function()
    os.execute("kill " .. pid)
    peer:close()
    os.execute("rm -r " .. dir)
  end)

  describe("requests", function()
    it("answers with status, headers, body and url", function()
      local resp = http.get(base .. "/echo?x=1#frag")
      assert.are.equal(200, resp.status)
      assert.are.equal("integer", math.type(resp.status))
      assert.are.equal(base .. "/echo?x=1#frag", resp.url)
      assert.are.equal("/echo?x=1", resp:json().url)
      assert.is_string(resp.headers["Date"])
      assert.are.equal(resp.headers.date, resp.headers["DATE"])
      assert.is_nil(resp.headers["x-absent"])
    end)

    it("sends the method that was asked for", function()
      for _, name in ipairs { "get", "post", "put", "patch", "delete" } do
        assert.are.equal(name:upper(), http[name](base .. "/echo"):json().method)
      end
      assert.are.equal("PURGE", echo("PURGE").method)
      local head = http.head(base .. "/echo")
      assert.are.equal(200, head.status)
      assert.are.equal("", head.body)
    end)

    it("forgets a method when its handle is used again", function()
      http.head(base .. "/echo")
      http.post(base .. "/echo", { body = "x" })
      http.put(base .. "/echo", { body = "y" })
      local seen = echo("GET")
      assert.are.equal("GET", seen.method)
      assert.are.equal("", seen.body)
      assert.is_nil(seen.headers["content-length"])
    end)

    it("encodes json, form and query", function()
      local seen = echo("POST", { json = { n = 1 } })
      assert.are.equal('{"n":1}', seen.body)
      assert.are.equal("application/json", seen.headers["content-type"])
      seen = echo("POST", { form = { b = "x y&z", a = { 1, 2 } } })
      assert.are.equal("a=1&a=2&b=x%20y%26z", seen.body)
      assert.are.equal("application/x-www-form-urlencoded", seen.headers["content-type"])
      seen = echo("GET", { query = { q = "ü", n = 2.0 } }, "/echo?p=0")
      assert.are.equal("/echo?p=0&n=2&q=%C3%BC", seen.url)
    end)

    it("sends bytes as they are", function()
      local bytes = "\0\1\r\n\255" .. ("x"):rep(3000000)
      local seen = echo("PUT", { body = bytes })
      assert.are.equal(#bytes, tonumber(seen.headers["content-length"]))
      assert.is_nil(seen.headers["content-type"])
      assert.is_nil(seen.headers.expect)
      assert.are.equal("0", echo("POST").headers["content-length"])
    end)

    it("sends multipart forms", function()
      local seen = echo("POST", { multipart = {
        { name = "plain", value = "v" },
        { name = "file", contents = "a\0b", filename = 'quo"te.txt', type = "text/x-test" },
      } })
      assert.matches("^multipart/form%-data; boundary=", seen.headers["content-type"])
      assert.matches('name="plain"\r\n\r\nv\r\n', seen.body)
      assert.matches('name="file"; filename="quo%%22te.txt"\r\nContent%-Type: text/x%-test\r\n\r\na%zb\r\n', seen.body)
    end)

    it("sends headers, empty and repeated ones too", function()
      local seen = echo("GET", { headers = { ["X-One"] = "1", ["X-Empty"] = "", ["X-Two"] = { "a", "b" }, ["User-Agent"] = "mine" } })
      assert.are.equal("1", seen.headers["x-one"])
      assert.are.equal("", seen.headers["x-empty"])
      assert.are.equal("a, b", seen.headers["x-two"])
      assert.are.equal("mine", seen.headers["user-agent"])
      assert.matches("^greenlua/", echo("GET").headers["user-agent"])
    end)

    it("authenticates with auth or with the URL, which is not kept", function()
      assert.are.equal("Basic dTpw", echo("GET", { auth = { "u", "p" } }).headers.authorization)
      assert.is_nil(echo("GET").headers.authorization)
      local resp = http.get((base:gsub("//", "//u:p@")) .. "/echo")
      assert.are.equal("Basic dTpw", resp:json().headers.authorization)
      assert.are.equal(base .. "/echo", resp.url)
    end)
  end)

  describe("responses", function()
    it("treats a status as an answer", function()
      assert.are.equal(500, http.get(base .. "/status/500").status)
      assert.are.equal("", http.get(base .. "/status/204").body)
      local e = failure(function() http.get(base .. "/status/404"):raise_for_status() end)
      assert.are.equal("EHTTP", e.code)
      assert.are.equal(404, e.response.status)
      assert.is_nil(e.status) -- an app that does not catch it answers 500, not 404
      assert.are.equal(200, http.get(base .. "/text"):raise_for_status().status)
    end)

    it("names url, status and position when a body is not JSON", function()
      local e = failure(function() http.get(base .. "/text"):json() end)
      assert.are.equal("EJSON", e.code)
      assert.are.equal(1, e.position)
      assert.are.equal(200, e.response.status)
      assert.matches(base .. "/text: status 200: .*line 1, column 1", (tostring(e):gsub("%%", "")))
    end)

    it("keeps repeated headers", function()
      local headers = http.get(base .. "/repeated").headers
      assert.are.same({ "a=1", "b=2" }, headers:all("Set-Cookie"))
      assert.are.equal("a=1", headers["set-cookie"])
      assert.are.equal("p, q", headers["X-List"])
      assert.are.same({ "mine" }, headers:all("all"))
      assert.are.same({}, headers:all("nothing"))
    end)

    it("puts chunks together and leaves trailers out", function()
      local resp = http.get(base .. "/chunked")
      assert.are.equal("one two three", resp.body)
      assert.is_nil(resp.headers["x-late"])
    end)

    it("decompresses", function()
      assert.are.equal(("squeezed"):rep(1000), http.get(base .. "/gzip").body)
      assert.are.equal("EPROTO", failure(http.get, base .. "/notgzip").code)
    end)

    it("bounds a body after decompression", function()
      local e = failure(http.get, base .. "/bomb")
      assert.are.equal("EMSGSIZE", e.code)
      assert.matches("max_body", e.message)
      assert.are.equal("EMSGSIZE", failure(http.get, base .. "/text", { max_body = 20 }).code)
      assert.are.equal(21, #http.get(base .. "/text", { max_body = 21 }).body)
      assert.are.equal("EMSGSIZE", failure(http.get, base .. "/bighead").code)
    end)
  end)

  describe("redirects", function()
    local function to(target, code) return ("/to?code=%d&url=%s"):format(code or 302, require("green.url").encode(target)) end

    it("follows up to the limit", function()
      local resp = http.get(base .. "/hops/10")
      assert.are.equal("arrived", resp.body)
      assert.are.equal(base .. "/hops/0", resp.url)
      local e = failure(http.get, base .. "/hops/11")
      assert.are.equal("ELOOP", e.code)
      assert.are.equal("ELOOP", failure(http.get, base .. "/hops/2", { redirects = 1 }).code)
    end)

    it("does not follow when told so", function()
      local resp = http.get(base .. "/hops/1", { redirects = false })
      assert.are.equal(302, resp.status)
      assert.are.equal("/hops/0", resp.headers.location)
      assert.are.equal(302, http.get(base .. "/hops/1", { redirects = 0 }).status)
    end)

    it("changes the method as HTTP says", function()
      for _, case in ipairs {
        { "POST", 303, "GET", "" }, { "POST", 302, "GET", "" }, { "POST", 307, "POST", "b" }, { "PUT", 303, "GET", "" },
        { "PUT", 302, "PUT", "b" }, { "PUT", 308, "PUT", "b" }, { "PATCH", 303, "GET", "" },
      } do
        local seen = echo(case[1], { body = "b" }, to("/echo", case[2]))
        assert.are.same({ case[3], case[4] }, { seen.method, seen.body }, case[1] .. " " .. case[2])
      end
      assert.are.equal("GET", echo("DELETE", nil, to("/echo", 303)).method)
      assert.are.equal("DELETE", echo("DELETE", nil, to("/echo", 302)).method)
    end)

    it("keeps credentials from other origins", function()
      local secret = { headers = { Authorization = "Bearer s", Cookie = "c=1" } }
      local same = echo("GET", secret, to("/echo"))
      assert.are.equal("Bearer s", same.headers.authorization)
      local stranger = echo("GET", secret, to(other .. "/echo"))
      assert.is_nil(stranger.headers.authorization)
      assert.is_nil(stranger.headers.cookie)
      assert.is_nil(echo("GET", { auth = { "u", "p" } }, to(other .. "/echo")).headers.authorization)
    end)

    it("leads to http and https only", function()
      assert.are.equal("EINVAL", failure(http.get, base .. to("file:///etc/passwd")).code)
      assert.are.equal("EINVAL", failure(http.get, base .. to("ftp://127.0.0.1/")).code)
    end)
  end)

  describe("failures", function()
    it("names method, URL and reason, but no password", function()
      local url = ("http://u:secret@127.0.0.1:%d/p"):format(dead_port())
      local e = failure(http.post, url)
      assert.are.equal("ECONNREFUSED", e.code)
      assert.are.equal("http.post", e.op)
      assert.are.equal("http.post: POST " .. url:gsub("u:secret@", "") .. ": connection refused", e.message)
    end)

    it("tells what kind of failure it was", function()
      assert.are.equal("ENOTFOUND", failure(http.get, "http://no-such-host.invalid/").code)
      assert.are.equal("ECONNRESET", failure(http.get, base .. "/reset").code)
      assert.are.equal("ECONNRESET", failure(http.get, base .. "/cut").code)
      assert.are.equal("ECONNRESET", failure(http.get, base .. "/silence").code)
      assert.are.equal("EPROTO", failure(http.get, base .. "/garbage").code)
    end)

    it("refuses what is no HTTP URL", function()
      for _, url in ipairs { "ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1/x", "", "/x", "http://", "http://[::1", "http://a b/",
        "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\0", "http://127.0.0.1:99999/" } do
        assert.are.equal("EINVAL", failure(http.get, url).code, url)
      end
    end)

    it("refuses header injection", function()
      for _, headers in ipairs { { X = "a\r\nY: b" }, { X = "a\nb" }, { X = "a\0b" }, { ["X\r\nY"] = "1" }, { ["X:"] = "1" }, { [""] = "1" } } do
        assert.are.equal("EINVAL", failure(http.get, base, { headers = headers }).code)
      end
      local part = { name = "n", value = "v", filename = "f\r\nX: y" }
      assert.are.equal("EINVAL", failure(http.post, base, { multipart = { part } }).code)
      assert.has_error(function() http.request("GET /x HTTP/1.1\r\nX:", base) end)
    end)

    it("refuses misuse by name", function()
      local function says(pattern, ...)
        local ok, message = pcall(...)
        assert.is_false(ok)
        assert.matches(pattern, tostring(message))
      end
      says("client_spec.lua:%d+: http.get: unknown option 'timout'; did you mean 'timeout'%?", function() http.get(base, { timout = 1 }) end)
      says("option 'timeout': a number of seconds >= 0 expected, not %-1", http.get, base, { timeout = -1 })
      says("option 'headers': a table", http.get, base, { headers = "X: y" })
      says("only one of", http.post, base, { json = 1, body = "x" })
      says("no body", http.head, base, { body = "x" })
      says("url: a string", http.get, nil)
      says("stream = true", function() http.get(base .. "/text"):chunks() end)
    end)
  end)

  describe("time", function()
    it("ends a request that takes too long", function()
      for _, path in ipairs { "/hang", "/half" } do
        local e = failure(http.get, base .. path, { timeout = 0.05 })
        assert.are.equal("ETIMEDOUT", e.code)
        assert.matches("GET " .. base .. path .. ": timed out", (e.message:gsub("%%", "")), 1)
        http.get(base .. "/released")
      end
    end)

    it("stops the transfer of a cancelled task", function()
      local hung = task.spawn(http.get, base .. "/half")
      http.get(base .. "/hanging/1")
      hung:cancel()
      local e = failure(hung.join, hung)
      assert.are.equal("ECANCELED", e.code)
      assert.are.equal(0, http.get(base .. "/released"):json().hanging)
    end)
  end)

  describe("TLS", function()
    it("verifies by default and says how to trust", function()
      local e = failure(http.get, secure .. "/text")
      assert.are.equal("ETLS", e.code)
      assert.matches("ca = ", e.message)
    end)

    it("accepts a certificate of a given authority, for its names only", function()
      local ca = dir .. "/cert.pem"
      assert.are.equal(200, http.get(secure .. "/text", { ca = ca }).status)
      assert.are.equal("ETLS", failure(http.get, secure .. "/text").code) -- also with that connection still open
      local wrong = (secure:gsub("localhost", "127.0.0.2"))
      assert.are.equal("ECONNREFUSED", failure(http.get, wrong, { ca = ca }).code)
    end)

    it("verifies nothing when told so", function()
      assert.are.equal(200, http.get(secure .. "/text", { verify = false }).status)
      assert.are.equal("ETLS", failure(http.get, secure .. "/text").code)
    end)

    it("says so when the authority's file is missing", function()
      assert.are.equal("ETLS", failure(http.get, secure .. "/text", { ca = dir .. "/none.pem" }).code)
    end)
  end)

  describe("many at once", function()
    -- The client once stood on libcurl, which counts such tries per handle and gave up at the sixth.
    it("tries again when a kept connection turns out to be closed", function()
      for _ = 1, 50 do
        assert.are.equal("bye", http.get(base .. "/lastword").body)
        assert.are.equal("bye", http.get(base .. "/lastword").body)
      end
    end)

    it("runs 200 requests at the same time", function()
      local tasks = {}
      for i = 1, 200 do
        tasks[i] = task.spawn(function() return http.get(base .. "/meet/200").body end)
      end
      for _, each in ipairs(tasks) do assert.are.equal("met", each:join()) end
    end)

    it("does not wait for itself in an app that calls itself", function()
      local app = require("green.app").new()
      local server, self_url
      app:get("/outer", function() return http.get(self_url .. "/inner").body end)
      app:get("/inner", function() return "inner" end)
      server = app:listen "127.0.0.1:0"
      self_url = "http://" .. server:address()
      local tasks = {}
      for i = 1, 300 do
        tasks[i] = task.spawn(function() return http.get(self_url .. "/outer").body end)
      end
      for _, each in ipairs(tasks) do assert.are.equal("inner", each:join()) end
      server:finish()
    end)

    it("keeps connections", function()
      local first = tonumber(http.get(base .. "/connections").body)
      for _ = 1, 20 do http.get(base .. "/text") end
      assert.are.equal(first, tonumber(http.get(base .. "/connections").body))
    end)

    it("forget the empty body of the request before", function() -- a POST used the one of its handle's last use
      for _ = 1, 5 do
        assert.are.equal("", http.post(base .. "/echo"):json().body)
        assert.are.equal("full", http.post(base .. "/echo", { body = "full" }):json().body)
      end
    end)

    it("survives servers that close kept connections", function()
      for _ = 1, 20 do
        failure(http.get, base .. "/cut")
        assert.are.equal("bye", http.get(base .. "/lastword").body)
        assert.are.equal("x", http.put(base .. "/echo", { body = "x" }):json().body) -- a POST would not be repeated
      end
    end)
  end)

  describe("streams", function()
    it("iterate over a body piece by piece", function()
      local total = 0
      local resp = http.get(base .. "/flood/64", { stream = true })
      assert.is_nil(resp.body)
      for chunk in resp:chunks() do total = total + #chunk end
      assert.are.equal(64 * 65536, total)
    end)

    it("deliver the head before the body ends", function()
      local resp = http.get(base .. "/half", { stream = true })
      assert.are.equal(200, resp.status)
      for chunk in resp:chunks() do
        assert.are.equal("half", chunk)
        break
      end
      assert.are.equal(0, http.get(base .. "/released"):json().hanging)
    end)

    it("hold a server back that is faster than its reader", function()
      local total, sent = 0, 0
      for chunk in http.get(base .. "/flood/1600", { stream = true }):chunks() do
        total = total + #chunk
        if sent == 0 then sent = tonumber(http.get(base .. "/sent").body) end
      end
      assert.are.equal(1600 * 65536, total)
      assert.is_true(sent < total / 2, sent)
    end)

    it("cancel the transfer when left early or by an error", function()
      for chunk in http.get(base .. "/flood/1600", { stream = true }):chunks() do
        assert.is_true(#chunk > 0)
        break
      end
      pcall(function()
        for _ in http.get(base .. "/flood/1600", { stream = true }):chunks() do error "out" end
      end)
      local resp <close> = http.get(base .. "/flood/1600", { stream = true })
      assert.are.equal(200, resp.status)
    end)

    it("fail when the connection does or when nothing comes", function()
      local function drain(path, opts)
        opts.stream = true
        local got = ""
        local ok, e = pcall(function()
          for chunk in http.get(base .. path, opts):chunks() do got = got .. chunk end
        end)
        assert.is_false(ok)
        return e.code, got
      end
      assert.are.same({ "ECONNRESET", "half" }, { drain("/cut", {}) })
      assert.are.same({ "ETIMEDOUT", "half" }, { drain("/half", { timeouts = { idle = 1 } }) })
      http.get(base .. "/released")
    end)

    it("follow redirects first", function()
      local resp = http.get(base .. "/hops/2", { stream = true })
      assert.are.equal(base .. "/hops/0", resp.url)
      local read, stream, _, closer = resp:chunks()
      assert.are.equal("arrived", read(stream))
      assert.is_nil(read(stream))
      closer:close()
      assert.are.equal("ECONNABORTED", failure(read, stream).code)
    end)

    it("tell a reader when they are closed, and have one reader", function()
      local resp = http.get(base .. "/half", { stream = true })
      local read, stream = resp:chunks()
      assert.are.equal("half", read(stream))
      local reader = waiting(task.spawn(read, stream))
      assert.are.equal("EBUSY", failure(read, stream).code)
      resp:close()
      assert.are.equal("ECONNABORTED", failure(reader.join, reader).code)
      http.get(base .. "/released")
    end)

    it("leave the stream usable when a reading task is cancelled", function()
      local resp <close> = http.get(base .. "/half", { stream = true })
      local read, stream = resp:chunks()
      assert.are.equal("half", read(stream))
      local reader = waiting(task.spawn(read, stream))
      reader:cancel()
      assert.are.equal("ECANCELED", failure(reader.join, reader).code)
    end)
  end)

  describe("a client", function()
    it("adds its base and its headers", function()
      local api = http.client { base_url = base .. "/echo/", headers = { ["X-Key"] = "k", Accept = "a" }, timeout = 5 }
      local seen = api:get("/users", { query = { id = 1 }, headers = { accept = "b" } }):json()
      assert.are.equal("/echo/users?id=1", seen.url)
      assert.are.equal("k", seen.headers["x-key"])
      assert.are.equal("b", seen.headers.accept)
      assert.are.equal("POST", api:request("POST", "x"):json().method)
      assert.are.equal("/echo/abs", api:get(base .. "/echo/abs"):json().url)
    end)

    it("does not take its headers to other servers", function()
      local api = http.client { base_url = base }
      assert.are.equal("EINVAL", failure(api.get, api, other .. "/echo").code)
    end)
  end)
end)
