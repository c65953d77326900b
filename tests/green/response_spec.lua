-- SPDX-License-Identifier: MIT
local json = require "green.json"
local new_app = require("green.app").new
local response = require "green.response"

-- What a client sees of one answer.
local function seen(answer, spec)
  return new_app():get("/", function() return answer end):inject(spec or {})
end

local function fails(why, f)
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find(why, 1, true), tostring(err))
  assert.matches("response_spec.lua:%d+:", tostring(err))
end

describe("response", function()
  it("has a kind for each kind of body", function()
    local res = seen(response.text("hi", 201))
    assert.same({ 201, "hi", "text/plain; charset=utf-8" }, { res.status, res.body, res.headers["content-type"] })
    res = seen(response.html "<p>")
    assert.same({ 200, "<p>", "text/html; charset=utf-8" }, { res.status, res.body, res.headers["content-type"] })
    res = seen(response.json({ a = 1 }, 202, { ["X-A"] = "b" }))
    assert.same({ 202, '{"a":1}', "application/json", "b" }, { res.status, res.body, res.headers["content-type"], res.headers["x-a"] })
    res = seen(response.status(204))
    assert.same({ 204, "" }, { res.status, res.body })
    assert.equal("null", seen(response.json(nil)).body)
    assert.equal("null", seen(response.json(json.null)).body)
    assert.equal("7", seen(response.text(7)).body)
  end)

  it("streams", function()
    local res = seen(response.stream(function(out) for i = 1, 3 do out:write(i .. ",") end end, { status = 203, type = "text/csv" }))
    assert.same({ 203, "1,2,3,", "text/csv" }, { res.status, res.body, res.headers["content-type"] })
  end)

  it("redirects to HTTPS, the same host and target", function()
    local function location(spec, port)
      local res = response.to_https(require "green.test".request(spec), port)
      assert.equal(308, res.status)
      return res.headers.location
    end
    assert.equal("https://a.test/", location { headers = { host = "a.test" } })
    assert.equal("https://a.test/x?y=%20z", location { path = "/x?y=%20z", headers = { host = "a.test:80" } })
    assert.equal("https://[::1]:8443/", location({ headers = { host = "[::1]:80" } }, 8443))
    assert.equal("https://a.test//elsewhere.test", location { path = "//elsewhere.test", headers = { host = "a.test" } })
    assert.equal("https://a.test/", location({ method = "OPTIONS", path = "*", headers = { host = "a.test" } }, 443))
    local ok, err = pcall(location, { headers = { host = ":80" } })
    assert.same({ false, 400 }, { ok, err.status })
    fails("to_https: a port", function() response.to_https(require "green.test".request {}, 0) end)
    fails("to_https: a request", function() response.to_https "x" end)
  end)

  it("redirects, and nowhere else than it was told", function()
    local res = seen(response.redirect "/a b\u{e9}")
    assert.same({ 303, "/a%20b%C3%A9" }, { res.status, res.headers.location })
    assert.equal(308, response.redirect("/", 308).status)
    fails("redirect: status", function() response.redirect("/", 200) end)
    fails("control characters", function() response.redirect "/\r\nx: y" end)
  end)

  it("sets, replaces and removes headers", function()
    local res = response.text("x"):header("X-A", "1"):header("x-a", 2):header("x-l", { "a", "b" }):header("x-n", "1"):header("X-N", nil)
    assert.same({ ["content-type"] = "text/plain; charset=utf-8", ["x-a"] = "2", ["x-l"] = { "a", "b" } }, res.headers)
  end)

  it("refuses headers that would become others", function()
    local res = response.text "x"
    for _, value in ipairs { "a\r\nb: c", "a\nb", "a\0" } do
      fails("line breaks", function() res:header("x", value) end)
      fails("line breaks", function() res:header("x", { "ok", value }) end)
    end
    for _, name in ipairs { "", "a b", "a:", "a\r\n" } do fails("header name", function() res:header(name, "x") end) end
    fails("header value", function() res:header("x", true) end)
    fails("status", function() response.status(99) end)
    fails("status", function() response.text("x", "200") end)
    fails("body", function() response.html {} end)
    fails("stream", function() response.stream "x" end)
    fails("unknown file option", function() response.file("x", { typo = 1 }) end)
  end)

  describe("cookies", function()
    local function cookie(...) return response.text("x"):cookie(...).headers["set-cookie"][1] end

    it("are closed by default", function()
      assert.equal("a=b; Path=/; HttpOnly; SameSite=Lax", cookie("a", "b"))
    end)

    it("have options, and several fit", function()
      assert.equal("a=; Path=/x; Domain=example.org; Max-Age=60; Secure; SameSite=None",
        cookie("a", "", { path = "/x", domain = "example.org", max_age = 60, secure = true, http_only = false, same_site = "none" }))
      assert.equal(2, #response.text("x"):cookie("a", "1"):cookie("b", "2").headers["set-cookie"])
    end)

    it("cannot be talked into attributes", function()
      for _, value in ipairs { "a; Domain=evil", "a,b", "a b", 'a"', "a\\", "a\r\nSet-Cookie: x=y", "\u{e9}", "a\0" } do
        fails("cookie value", function() cookie("a", value) end)
      end
      for _, name in ipairs { "", "a=b", "a;b", "a b", "a\n" } do fails("cookie name", function() cookie(name, "x") end) end
      fails("cookie Path", function() cookie("a", "b", { path = "/; Domain=x" }) end)
      fails("cookie Domain", function() cookie("a", "b", { domain = "x\r\ny" }) end)
      fails("same_site", function() cookie("a", "b", { same_site = "whatever" }) end)
      fails("must be secure", function() cookie("a", "b", { same_site = "None" }) end)
      fails("__Secure-", function() cookie("__Secure-a", "b") end)
      fails("__Host-", function() cookie("__Host-a", "b", { secure = true, path = "/x" }) end)
      assert.equal("__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax", cookie("__Host-a", "b", { secure = true }))
    end)
  end)

  describe("events", function()
    local function sent(fn) return seen(response.events(fn)) end

    it("are framed so that data cannot break out", function()
      local res = sent(function(events)
        events:send "one"
        events:send { event = "e", id = 7, retry = 1.5, data = "a\nb\r\nc\rdata: d" }
        events:send { data = { x = 1 } }
        events:send ""
        events:comment()
      end)
      assert.equal("data: one\n\nevent: e\nid: 7\nretry: 1500\ndata: a\ndata: b\ndata: c\ndata: data: d\n\n"
        .. 'data: {"x":1}\n\ndata: \n\n: \n\n', res.body)
      assert.equal("text/event-stream", res.headers["content-type"])
      assert.equal("no-cache", res.headers["cache-control"])
    end)

    it("refuse line breaks in a name or an id", function()
      sent(function(events)
        assert.has_error(function() events:send { event = "a\ndata: x" } end)
        assert.has_error(function() events:send { id = "a\r" } end)
        assert.has_error(function() events:send { id = "a\0" } end)
      end)
      fails("function(events)", function() response.events() end)
    end)
  end)

  it("makes any answer one that middleware can change", function()
    local res = response.text("x", 201)
    assert.equal(res, response.of(res))
    assert.equal(204, response.of(nil).status)
    assert.equal('{"a":1}', seen(response.of { a = 1 }).body)
    assert.equal("x", seen(response.of "x").body)
  end)
end)
