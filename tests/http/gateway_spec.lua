-- SPDX-License-Identifier: MIT
-- response.proxy, and the client's answers as answers: status, headers, bodies in both directions, back-pressure, and who leaves.
local http = require "green.http"
local json = require "green.json"
local net = require "green.net"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"
require "green.app" -- requests have a query then

-- fn(front, inner): the addresses of a server that asks another one, and of that one.
local function serve(inner, handler, fn)
  raw.serve(inner, nil, function(inside)
    raw.serve(function(req) return handler(req, "http://" .. inside) end, nil, function(front) fn("http://" .. front, inside) end)
  end)
end

local function pass(_, inside) return response.proxy(inside) end

local function echo(req)
  local pieces = {}
  for piece in req:chunks() do pieces[#pieces + 1] = piece end
  return response.json({ method = req.method, target = req.target, headers = req.headers, body = table.concat(pieces) }, 201,
    { ["x-own"] = "1", ["set-cookie"] = { "a=1", "b=2" } })
end

describe("response.proxy", function()
  it("passes on request and answer", function()
    serve(echo, pass, function(front)
      for _, method in ipairs { "GET", "POST", "PUT", "DELETE", "PURGE" } do
        local got = http.request(method, front .. "/a%2fb?q=%20", { body = method ~= "GET" and "hello" or nil, headers = { ["X-Mine"] = "m", Cookie = "c=1", Accept = "a/b" } })
        assert.equal(201, got.status)
        local seen = got:json()
        assert.same({ method, "/a%2fb?q=%20", method ~= "GET" and "hello" or "", "m", "c=1", "a/b" },
          { seen.method, seen.target, seen.body, seen.headers["x-mine"], seen.headers.cookie, seen.headers.accept })
        assert.same({ { "a=1", "b=2" }, "1" }, { got.headers:all "set-cookie", got.headers["x-own"] })
        assert.equal(#got.body, tonumber(got.headers["content-length"])) -- it was known, and still is
      end
    end)
  end)

  it("keeps a body's length, or its chunks, in both directions", function()
    serve(echo, pass, function(front)
      local seen = http.post(front .. "/", { body = "hello" }):json().headers
      assert.same({ "5", nil }, { seen["content-length"], seen["transfer-encoding"] })
      local pieces = { "one", "two" }
      seen = http.post(front .. "/", { body = function() return table.remove(pieces, 1) end }):json()
      assert.same({ "onetwo", nil, "chunked" }, { seen.body, seen.headers["content-length"], seen.headers["transfer-encoding"] })
    end)
    serve(function() return response.stream(function(out) out:write "x" end) end, pass, function(front)
      local got = http.get(front .. "/")
      assert.same({ "x", nil, "chunked" }, { got.body, got.headers["content-length"], got.headers["transfer-encoding"] })
    end)
  end)

  it("leaves out what is between two neighbours, and says who asked", function()
    serve(echo, pass, function(front, inside)
      local client <close> = raw.connect(front:match "//(.*)$")
      client:send("GET / HTTP/1.1\r\nHost: front.example\r\nConnection: x-secret, keep-alive\r\nX-Secret: s\r\nTE: gzip;q=0.5, trailers\r\nProxy-Authorization: p\r\nKeep-Alive: 5\r\n",
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\r\n")
      local headers = json.decode(client:answer().body).headers
      for _, name in ipairs { "x-secret", "proxy-authorization", "keep-alive", "forwarded" } do assert.is_nil(headers[name], name) end
      assert.same({ "trailers", "TE" }, { headers.te, headers.connection }) -- ours, made anew for a client that reads trailers
      assert.same({ inside, "127.0.0.1", "http", "front.example" }, { headers.host, headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["x-forwarded-host"] })
    end)
    serve(echo, function(_, inside) return response.proxy(inside, { forwarded = false, headers = { Host = "other", ["X-Add"] = "a" } }) end, function(front)
      local headers = http.get(front .. "/", { headers = { Forwarded = "for=me" } }):json().headers
      assert.same({ "for=me", nil, "other", "a" }, { headers.forwarded, headers["x-forwarded-for"], headers.host, headers["x-add"] })
    end)
  end)

  it("is one of the trusted proxies of the server behind it", function()
    local function tell(req) return ("%s %s %s"):format(req.remote, req.scheme, req.host) end
    raw.serve(tell, { trusted_proxies = { "127.0.0.1" } }, function(inside)
      local function front(req) return response.proxy("http://" .. inside) end
      raw.serve(front, nil, function(middle)
        local answer = raw.ask(middle, "GET / HTTP/1.1\r\nHost: front.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert.equal("127.0.0.1:0 http front.example", answer.body)
      end)
      raw.serve(front, { trusted_proxies = { "127.0.0.1" } }, function(middle) -- a proxy in front of the gateway
        local answer = raw.ask(middle, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\r\n")
        assert.equal("1.2.3.4:0 https b", answer.body)
      end)
    end)
  end)

  it("asks for a path of its own where it has one", function()
    serve(echo, function(_, inside) return response.proxy(inside .. "/fixed?x") end, function(front) assert.equal("/fixed?x", http.get(front .. "/a?b"):json().target) end)
  end)

  it("passes on redirects, codings, and answers without a body", function()
    local coded = require("coding.encoders").gzip "hello"
    local routes = {
      ["/moved"] = function() return response.redirect("/there", 302) end,
      ["/gzip"] = function() return response.stream(function(out) out:write(coded) end, { headers = { ["content-encoding"] = "gzip", ["content-length"] = tostring(#coded) } }) end,
      ["/304"] = function() return response.status(304, { etag = '"e"' }) end,
      ["/204"] = function() return response.status(204) end,
    }
    serve(function(req) return routes[req.path](req) end, pass, function(front)
      local got = http.get(front .. "/moved", { redirects = false })
      assert.same({ 302, "/there" }, { got.status, got.headers.location })
      got = http.get(front .. "/gzip", { decode = false })
      assert.same({ coded, "gzip", tostring(#coded) }, { got.body, got.headers["content-encoding"], got.headers["content-length"] })
      assert.equal("hello", http.get(front .. "/gzip").body)
      got = http.head(front .. "/gzip")
      assert.same({ "", tostring(#coded) }, { got.body, got.headers["content-length"] })
      assert.same({ 304, '"e"' }, { http.get(front .. "/304").status, http.get(front .. "/304").headers.etag })
      assert.equal(204, http.get(front .. "/204").status)
    end)
  end)

  it("lets middleware have the last word", function()
    serve(echo, function(_, inside) return response.proxy(inside):header("x-own", "mine"):header("x-more", "m") end, function(front)
      local got = http.get(front .. "/")
      assert.same({ "mine", "m" }, { got.headers["x-own"], got.headers["x-more"] })
    end)
  end)

  it("answers 502 and 504 where the other does not answer, and says nothing of it", function()
    raw.serve(function(req)
      if req.path == "/slow" then return response.proxy("http://" .. req.query.at, { timeout = 0.1 }) end
      return response.proxy "http://127.0.0.1:1"
    end, nil, function(front)
      local got = http.get("http://" .. front .. "/")
      assert.equal(502, got.status)
      assert.is_nil(got.body:find("127.0.0.1", 1, true))
      local listener <close> = net.listen "127.0.0.1:0"
      assert.equal(504, http.get("http://" .. front .. "/slow", { query = { at = listener:address() } }).status)
    end)
  end)

  it("leaves the other at once when no answer can be made of its own", function()
    local gateway = require "green.http.gateway"
    collectgarbage "stop"
    local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
    serve(function()
      return response.stream(function(out)
        for _ = 1, 1000 do out:write(("x"):rep(65536)) end
      end)
    end, function(req, inside)
      local before = http.stats().connections
      local ok = pcall(gateway.settle, { proxy = { upstream = inside, opts = {} }, headers = { ["no name"] = "x" } }, req)
      return ("%s %d"):format(ok, http.stats().connections - before)
    end, function(front) assert.equal("false 0", http.get(front .. "/").body) end)
  end)

  it("breaks off where the other does", function()
    serve(function()
      return response.stream(function(out)
        out:write(("x"):rep(300000))
        error "on purpose"
      end, { headers = { ["content-length"] = "600000" } })
    end, pass, function(front)
      local ok, e = pcall(http.get, front .. "/")
      assert.same({ false, "ECONNRESET" }, { ok, e.code })
    end)
  end)

  it("holds the other back while the client is slow, in bounded memory", function()
    local written = 0
    serve(function()
      return response.stream(function(out)
        for _ = 1, 1000 do
          out:write(("x"):rep(65536))
          written = written + 65536
        end
      end)
    end, pass, function(front)
      local got <close> = http.get(front .. "/", { stream = true })
      local next, state = got:chunks()
      assert.is_truthy(next(state))
      local before
      repeat -- until nothing moves any more
        before = written
        task.sleep(0.05)
      until written == before
      assert.is_true(written < 32 << 20, written)
    end)
  end)

  it("leaves the other when the client leaves, before and within the answer", function()
    for _, path in ipairs { "/before", "/within" } do
      local began, left = task.channel(1), task.channel(1)
      serve(function(req)
        local _ <close> = setmetatable({}, { __close = function() left:send(true) end })
        req.cancel_on_disconnect = true
        if req.path == "/before" then
          began:send(true)
          task.sleep(60)
        end
        return response.stream(function(out)
          local _ <close> = setmetatable({}, { __close = function() task.shield(1, left.send, left, true) end })
          out:write "x"
          began:send(true)
          while true do
            out:write(("x"):rep(1000))
            task.sleep(0.01)
          end
        end)
      end, pass, function(front)
        local client = raw.connect(front:match "//(.*)$")
        client:send(raw.get(path))
        assert.is_true(began:receive(20))
        client:close()
        assert.is_true(left:receive(20))
      end)
    end
  end)

  it("refuses what makes no sense by name", function()
    for pattern, call in pairs {
      ["upstream: a string expected"] = function() response.proxy(nil) end, ["unknown option 'body'"] = function() response.proxy("http://a", { body = "x" }) end,
      ["not a URL with http"] = function() response.proxy("a:80/x") end, ["unknown option 'timout'"] = function() response.proxy("http://a", { timout = 1 }) end,
    } do
      local ok, e = pcall(call)
      assert.is_false(ok)
      assert.matches(pattern, tostring(e))
    end
  end)
end)

describe("an answer of the client's", function()
  it("is an answer, too", function()
    serve(echo, function(req, inside) return http.get(inside .. req.target, { stream = req.path == "/stream" }) end, function(front)
      for _, path in ipairs { "/whole", "/stream" } do
        local got = http.get(front .. path)
        assert.same({ 201, "1", path }, { got.status, got.headers["x-own"], got:json().target })
        assert.equal(#got.body, tonumber(got.headers["content-length"]))
        assert.same({ "a=1", "b=2" }, got.headers:all "set-cookie")
      end
    end)
  end)

  it("says of its body what it is after decoding", function()
    local coded = require("coding.encoders").gzip(("hello"):rep(1000))
    serve(function() return response.stream(function(out) out:write(coded) end, { headers = { ["content-encoding"] = "gzip", ["content-length"] = tostring(#coded) } }) end,
      function(req, inside) return http.get(inside, { stream = req.path == "/stream" }) end, function(front)
        for _, path in ipairs { "/whole", "/stream" } do
          local got = http.get(front .. path, { decode = false })
          assert.same({ ("hello"):rep(1000), nil }, { got.body, got.headers["content-encoding"] })
        end
      end)
  end)
end)
