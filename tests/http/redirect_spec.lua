-- SPDX-License-Identifier: MIT
-- What a redirect makes of a request, as WHATWG's fetch has it: method, body, headers, credentials, URL; and what is not followed.
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local redirect = require "green.http.redirect"
local response = require "green.response"
local url = require "green.url"

local failure = outcome.failure

local function fail(code, format, ...) error({ code = code, message = format:format(...) }) end

local function follow(given, status, ...)
  given.url = given.url or "http://a.example/x/y?q#f"
  given.parts, given.headers, given.method = url.parse(given.url), given.headers or {}, given.method or "GET"
  return redirect.follow(given, status, { ... }, fail)
end

-- "Accept, X-Own"
local function names(headers)
  local list = {}
  for i = 1, #headers, 2 do list[#list + 1] = headers[i] end
  return table.concat(list, ", ")
end

describe("a redirect", function()
  it("is one of five statuses, with a place to go", function()
    for status = 200, 599 do
      local leads = status == 301 or status == 302 or status == 303 or status == 307 or status == 308
      assert.equal(leads, redirect.location(status, { location = "/x" }) ~= nil, status)
      assert.is_nil(redirect.location(status, {}))
    end
  end)

  it("changes the method and drops the body with all that is about it", function()
    for _, case in ipairs {
      { 301, "POST", "GET" }, { 302, "POST", "GET" }, { 303, "POST", "GET" }, { 307, "POST", "POST" }, { 308, "POST", "POST" },
      { 301, "PUT", "PUT" }, { 302, "PATCH", "PATCH" }, { 303, "PUT", "GET" }, { 303, "DELETE", "GET" }, { 303, "HEAD", "HEAD" }, { 303, "GET", "GET" },
      { 302, "HEAD", "HEAD" }, { 302, "DELETE", "DELETE" }, { 303, "PURGE", "GET" }, { 307, "PURGE", "PURGE" },
    } do
      local next = follow({ method = case[2], body = { bytes = "b" }, headers = {
        "Content-Type", "a/b", "X-Own", "1", "content-encoding", "gzip", "Content-Language", "de", "Content-Location", "/z", "Accept", "a/c" } }, case[1], "/z")
      local kept = case[3] == case[2]
      assert.same({ case[3], kept and "b" or nil }, { next.method, next.body and next.body.bytes }, table.concat(case, " "))
      assert.equal(kept and "Content-Type, X-Own, content-encoding, Content-Language, Content-Location, Accept" or "X-Own, Accept", names(next.headers))
    end
  end)

  it("takes no credentials to another origin", function()
    local headers = { "Authorization", "s", "Cookie", "c", "proxy-authorization", "p", "Host", "h", "X-Api-Key", "k", "Accept", "a", "User-Agent", "u" }
    for location, stays in pairs {
      ["/z"] = true, ["http://a.example:80/"] = true, ["HTTP://A.EXAMPLE/"] = true, ["//a.example/"] = true, ["?z"] = true,
      ["http://b.example/"] = false, ["https://a.example/"] = false, ["http://a.example:81/"] = false, ["http://a.example./"] = false, ["//b.example"] = false,
      ["http://sub.a.example/"] = false,
    } do
      assert.equal(stays and names(headers) or "X-Api-Key, Accept, User-Agent", names(follow({ headers = headers }, 302, location).headers), location)
      local own = { ["x-api-key"] = true, accept = true, ["user-agent"] = true }
      assert.equal(stays and names(headers) or "Accept, User-Agent", names(follow({ headers = headers, own = own }, 302, location).headers), location)
    end
  end)

  it("does not give them back where it returns", function()
    local away = follow({ headers = { "Authorization", "s" } }, 302, "http://b.example/")
    assert.equal("", names(redirect.follow(away, 302, { "http://a.example/" }, fail).headers))
  end)

  it("leads where the server means", function()
    for location, expected in pairs {
      z = "http://a.example/x/z#f", ["/z#g"] = "http://a.example/z#g", ["?z"] = "http://a.example/x/y?z#f", ["//b/z"] = "http://b/z#f", ["../../z"] = "http://a.example/z#f",
      [""] = "http://a.example/x/y?q#f", ["  /z\t"] = "http://a.example/z#f", ["/a b?c d"] = "http://a.example/a%20b?c%20d#f", ["/\u{fc}?\xfc"] = "http://a.example/%C3%BC?%FC#f",
      ["https://b\u{fc}cher.example/\u{fc}"] = "https://xn--bcher-kva.example/%C3%BC#f", ["//b\u{fc}cher.example"] = "http://xn--bcher-kva.example#f",
      ["/z#"] = "http://a.example/z#",
    } do assert.equal(expected, follow({}, 302, location).url, location) end
  end)

  it("uses the credentials that a server writes into it, and shows them to nobody", function()
    local next = follow({ headers = { "Authorization", "old" } }, 302, "http://u:p@a.example/z")
    assert.same({ "http://a.example/z#f", { "Authorization", "Basic dTpw" } }, { next.url, next.headers })
  end)

  it("is refused when it cannot be followed", function()
    for location, code in pairs {
      ["ftp://a.example/"] = "EINVAL", ["file:///etc/passwd"] = "EINVAL", ["javascript:x"] = "EINVAL", ["http://"] = "EINVAL", ["http:/x"] = "EINVAL", ["data:,x"] = "EINVAL",
      ["http://a b/"] = "EINVAL", ["http://a\\b/"] = "EINVAL", ["http://127.1/"] = "EINVAL", ["\\\\b"] = "EINVAL", ["//\u{ff41}/"] = "EINVAL",
    } do assert.equal(code, failure(follow, {}, 302, location).code, location) end
    assert.equal("EPROTO", failure(follow, {}, 302, "/a", "/b").code)
    assert.equal("http://a.example/a#f", follow({}, 302, "/a", "/a").url)
    assert.equal("EINVAL", failure(follow, { method = "POST", body = { open = print, once = true } }, 307, "/a").code)
    assert.equal("GET", follow({ method = "POST", body = { open = print, once = true } }, 303, "/a").method)
  end)
end)

describe("the client", function()
  local function serve(routes, fn)
    raw.serve(function(req)
      local route = routes[req.path]
      if type(route) == "string" then return response.status(302, { location = route }) end
      return route(req)
    end, nil, function(address) fn("http://" .. address) end)
  end

  it("says what it was following, and where it gave up", function()
    serve({ ["/ftp"] = "ftp://b/", ["/loop"] = "/loop" }, function(base)
      local e = failure(http.get, base .. "/ftp")
      assert.same({ "EINVAL", "http.get", "http.get: GET " .. base .. "/ftp: it leads to 'ftp://b/': only http and https are followed" }, { e.code, e.op, e.message })
      e = failure(http.get, base .. "/loop", { redirects = 3 })
      assert.same({ "ELOOP", "http.get: GET " .. base .. "/loop: more than 3 redirects" }, { e.code, e.message })
    end)
  end)

  it("keeps what a client with a base_url sends to itself", function()
    serve({ ["/there"] = function(req) return { key = req.headers["x-api-key"], agent = req.headers["user-agent"] } end }, function(other)
      other = other:gsub("127.0.0.1", "localhost")
      serve({ ["/away"] = other .. "/there", ["/here"] = "/there", ["/there"] = function(req) return { key = req.headers["x-api-key"] } end }, function(base)
        local api = http.client { base_url = base, headers = { ["X-Api-Key"] = "secret", ["User-Agent"] = "mine" } }
        assert.equal("secret", api:get("/here"):json().key)
        assert.same({ agent = "mine" }, api:get("/away"):json())
        assert.same("secret", http.client({ headers = { ["X-Api-Key"] = "secret" } }):get(base .. "/away"):json().key)
      end)
    end)
  end)

  it("closes the bodies it passes by", function()
    serve({ ["/x"] = function()
      return response.stream(function(out) out:write(("x"):rep(100000)) end, { status = 302, headers = { location = "/end" } })
    end, ["/end"] = function() return "end" end }, function(base)
      for _ = 1, 20 do
        assert.equal("end", http.get(base .. "/x").body)
        local got <close> = http.get(base .. "/x", { stream = true })
        assert.equal("end", got:chunks()(select(2, got:chunks())))
      end
    end)
  end)

  it("has one time for all of it", function()
    serve({ ["/x"] = function() require("green.task").sleep(0.2) return response.status(302, { location = "/x" }) end }, function(base)
      local e = failure(http.get, base .. "/x", { timeout = 0.5, redirects = 1000 })
      assert.equal("ETIMEDOUT", e.code)
    end)
  end)
end)
