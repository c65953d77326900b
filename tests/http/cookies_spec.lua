-- SPDX-License-Identifier: MIT
-- The cookie jar (RFC 6265bis): what is kept of an answer, what goes with which request, and with the client.
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local set_cookie = require "green.http.set_cookie"

-- What a jar sends to `target` after it took these lines from `from`.
local function sent(from, lines, target)
  local jar = http.cookies()
  for _, line in ipairs(lines) do jar:store(from, line) end
  return jar:header(target or from)
end

describe("a Set-Cookie line", function()
  it("is taken apart as browsers do", function()
    local function parsed(line)
      local cookie = set_cookie.parse(line)
      return cookie and cookie.name .. "|" .. cookie.value
    end
    for line, expected in pairs {
      ["a=b"] = "a|b", [" a\t=\tb "] = "a|b", ["a=b=c"] = "a|b=c", ["a="] = "a|", ["=b"] = "|b", ["b"] = "|b", ['a="b c"'] = 'a|"b c"', ["a=b, c=d"] = "a|b, c=d",
      ["a=b;c=d"] = "a|b", ["a=\u{e9}"] = "a|\u{e9}", ["a=b;"] = "a|b", ["a=x\ty"] = "a|x\ty",
    } do assert.equal(expected, parsed(line), line) end
    for _, line in ipairs { "", ";", "=", " = ;x", "a=b\0", "a=b\r\nc", "a=\1", "a\127=b", ("a"):rep(4097), "a=" .. ("b"):rep(4096), "a=b; path=\0" } do
      assert.is_nil(parsed(line), line:sub(1, 10))
    end
    assert.is_truthy(parsed("a=" .. ("b"):rep(4095)))
  end)

  it("has attributes, of which the last counts, and what is odd counts for nothing", function()
    local function attribute(name, line) return set_cookie.parse("a=b; " .. line)[name] end
    for _, case in ipairs {
      { "path", "Path=/x", "/x" }, { "path", "path = /x ", "/x" }, { "path", "PATH=/x; Path=/y", "/y" }, { "path", "Path=x", nil }, { "path", "Path=/x; Path=y", nil },
      { "path", "Path=/" .. ("x"):rep(1024), nil }, { "domain", "Domain=.h", ".h" }, { "domain", "Domain=h; Domain=", "" }, { "secure", "secure", true }, { "secure", "Secure=no", true },
      { "secure", "x", false }, { "http_only", "HttpOnly", true }, { "same_site", "SameSite=lax", "Lax" }, { "same_site", "SameSite=odd", nil },
      { "max_age", "Max-Age=10", 10 }, { "max_age", "Max-Age=0", -1 }, { "max_age", "Max-Age=-5", -1 }, { "max_age", "Max-Age=+5", nil }, { "max_age", "Max-Age=1.5", nil },
      { "max_age", "Max-Age=" .. ("9"):rep(100), 1e12 }, { "max_age", "Max-Age=", nil }, { "max_age", "Max-Age=5; Max-Age=x", 5 },
    } do assert.equal(case[3], attribute(case[1], case[2]), case[2]) end
  end)

  it("has dates in all the forms that servers write", function()
    local at = 784111777
    for _, text in ipairs {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "06 Nov 1994 08:49:37", "6-nov-1994 8:49:37", "08:49:37 1994 November 6",
      "Sun, 06 Nov 1994 08:49:37 +0100", "x 06 y Nov z 94 08:49:37",
    } do assert.equal(at, set_cookie.date(text), text) end
    for _, case in ipairs {
      { "1 Jan 70 00:00:00", 0 }, { "1 Jan 69 00:00:00", 3124224000 }, { "29 Feb 2000 00:00:00", 951782400 }, { "29 Feb 2024 12:00:00", 1709208000 }, { "1 Jan 1601 0:0:0", -11644473600 },
    } do assert.equal(case[2], set_cookie.date(case[1]), case[1]) end
    for _, text in ipairs {
      "", "tomorrow", "06 Nov 1994", "08:49:37 Nov 1994", "06 Nov 08:49:37", "32 Nov 1994 08:49:37", "31 Nov 1994 08:49:37", "29 Feb 1900 00:00:00", "29 Feb 2023 00:00:00",
      "06 Nov 1994 24:00:00", "06 Nov 1994 00:60:00", "06 Nov 1600 00:00:00", "006 Nov 1994 08:49:37", "06 Nov 1994 8:49",
    } do assert.is_nil(set_cookie.date(text), text) end
  end)
end)

describe("a cookie jar", function()
  it("sends a cookie to its host, or its domain", function()
    for _, case in ipairs {
      { "http://a.example.com/", "x=1", "http://a.example.com/", true }, { "http://a.example.com/", "x=1", "http://b.a.example.com/", false },
      { "http://a.example.com/", "x=1", "http://example.com/", false }, { "http://a.example.com/", "x=1; Domain=example.com", "http://b.example.com:8080/", true },
      { "http://a.example.com/", "x=1; Domain=.EXAMPLE.com", "https://example.com/", true }, { "http://a.example.com/", "x=1; Domain=example.com", "http://myexample.com/", false },
      { "http://a.example.com/", "x=1; Domain=b.example.com", "http://b.example.com/", false }, { "http://example.com/", "x=1; Domain=a.example.com", "http://a.example.com/", false },
      { "http://a.example.com/", "x=1; Domain=", "http://a.example.com/", true }, { "http://a.example.com/", "x=1; Domain=", "http://b.a.example.com/", false },
      { "http://a.b\u{fc}cher.example/", "x=1; Domain=b\u{fc}cher.example", "http://xn--bcher-kva.example/", true },
      { "http://127.0.0.1/", "x=1", "http://127.0.0.1:81/", true }, { "http://127.0.0.1/", "x=1; Domain=127.0.0.1", "http://127.0.0.1/", true },
      { "http://127.0.0.1/", "x=1; Domain=0.0.1", "http://127.0.0.1/", false }, { "http://[::1]/", "x=1", "http://[::1]/", true },
    } do assert.equal(case[4] and "x=1" or nil, sent(case[1], { case[2] }, case[3]), case[2] .. " for " .. case[3]) end
  end)

  it("keeps none for all that buy their names in one place", function()
    for _, domain in ipairs { "com", "co.uk", "github.io", "uk", "unlisted" } do
      assert.is_nil(sent("http://mine." .. domain .. "/", { "x=1; Domain=" .. domain }), domain)
    end
    assert.equal("x=1", sent("http://github.io/", { "x=1; Domain=github.io" })) -- its own, and its alone
    assert.is_nil(sent("http://github.io/", { "x=1; Domain=github.io" }, "http://mine.github.io/"))
    assert.equal("x=1", sent("http://localhost/", { "x=1; Domain=localhost" }))
  end)

  it("sends a cookie below its path", function()
    for _, case in ipairs {
      { "/a/b", "x=1", "/a/b", true }, { "/a/b", "x=1", "/a/", true }, { "/a/b", "x=1", "/a", true }, { "/a/b", "x=1", "/ab", false }, { "/a/b", "x=1", "/", false }, { "/a", "x=1", "/", true },
      { "", "x=1", "/z", true }, { "/", "x=1; Path=/p", "/p/q", true }, { "/", "x=1; Path=/p", "/pq", false }, { "/", "x=1; Path=/p/", "/p/", true }, { "/", "x=1; Path=/p/", "/p", false },
      { "/a/b", "x=1; Path=p", "/a/c", true }, { "/a/b?c/d/e", "x=1", "/a/x", true },
    } do
      assert.equal(case[4] and "x=1" or nil, sent("http://h.example" .. case[1], { case[2] }, "http://h.example" .. case[3]), case[1] .. " " .. case[2] .. " " .. case[3])
    end
  end)

  it("keeps secure cookies from those who are not", function()
    assert.is_nil(sent("http://h.example/", { "x=1; Secure" }))
    assert.equal("x=1", sent("https://h.example/", { "x=1; Secure" }))
    assert.is_nil(sent("https://h.example/", { "x=1; Secure" }, "http://h.example/"))
    assert.equal("x=1", sent("https://h.example/", { "x=1" }, "http://h.example/"))
    local jar = http.cookies()
    jar:store("https://a.h.example/", "x=1; Secure; Domain=h.example")
    assert.is_false(jar:store("http://a.h.example/", "x=2"))
    assert.is_false(jar:store("http://h.example/", "x=2; Domain=h.example"))
    assert.is_true(jar:store("http://h.example/", "y=2"))
    assert.equal("x=1", jar:header "https://a.h.example/")
  end)

  it("holds prefixes to their word", function()
    for _, case in ipairs {
      { "__Secure-x=1", false }, { "__Secure-x=1; Secure", true }, { "__secure-x=1", false }, { "__Host-x=1; Secure; Path=/", true }, { "__Host-x=1; Path=/", false }, { "__Host-x=1; Secure", false },
      { "__Host-x=1; Secure; Path=/; Domain=h.example", false }, { "=__Host-x=1; Secure; Path=/", false }, { "__Secure-x", false },
    } do assert.equal(case[2], http.cookies():store("https://h.example/", case[1]), case[1]) end
  end)

  it("forgets what is over, and what is deleted", function()
    assert.equal("x=1", sent("http://h.example/", { "x=1; Max-Age=1000" }))
    assert.is_nil(sent("http://h.example/", { "x=1", "x=; Max-Age=0" }))
    assert.is_nil(sent("http://h.example/", { "x=1", "x=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT" }))
    assert.equal("x=1", sent("http://h.example/", { "x=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT" }))
    assert.is_nil(sent("http://h.example/", { "x=1; Expires=Thu, 01 Jan 2999 00:00:00 GMT; Max-Age=0" }))
    local jar = http.cookies()
    jar:store("http://h.example/", "x=1; Expires=Thu, 01 Jan 2999 00:00:00 GMT")
    assert.is_true(jar:list()[1].expires <= os.time() + 400 * 86400)
    assert.equal("x=2", sent("http://h.example/", { "x=1", "x=2" }))
    jar:clear()
    assert.is_nil(jar:header "http://h.example/")
  end)

  it("sends longer paths first, and older cookies", function()
    assert.equal("b=2; a=1; c=3", sent("http://h.example/p/q", { "a=1; Path=/", "b=2; Path=/p", "c=3; Path=/" }))
    assert.equal("a=4; b=2", sent("http://h.example/", { "a=1", "b=2", "a=4" })) -- a new value is no new cookie
    assert.equal("v; n=", sent("http://h.example/", { "v", "n=" }))
  end)

  it("keeps no more than browsers do", function()
    local jar = http.cookies()
    for i = 1, 200 do jar:store("http://h.example/", ("n%d=1"):format(i)) end
    assert.equal(180, #jar:list())
    assert.matches("n200=1", jar:header "http://h.example/")
    assert.is_nil(jar:header("http://h.example/"):find("n1=1;", 1, true))
    for i = 1, 3100 do jar:store(("http://h%d.example/"):format(i), "x=1") end
    local count = #jar:list()
    assert.is_true(count <= 3000 and count > 2200, count)
    for i = 3100 - 2200, 3100 do assert.equal("x=1", jar:header(("http://h%d.example/"):format(i))) end
    assert.is_nil(jar:header "http://h1.example/")
  end)

  it("can be kept and taken again", function()
    local jar = http.cookies()
    jar:store("https://a.h.example/p/q", "x=1; Domain=h.example; Secure; HttpOnly; SameSite=Strict; Max-Age=1000")
    jar:store("https://a.h.example/p/q", "y=2")
    local list = jar:list()
    assert.same({ "x", "1", "h.example", false, "/p", true, true, "Strict" },
      { list[1].name, list[1].value, list[1].domain, list[1].host_only, list[1].path, list[1].secure, list[1].http_only, list[1].same_site })
    local again = http.cookies(list)
    assert.same(list, again:list())
    for _, target in ipairs { "https://a.h.example/p/", "https://b.h.example/p", "http://a.h.example/p/q", "https://h.example/" } do
      assert.equal(jar:header(target), again:header(target))
    end
    for _, wrong in ipairs { { { name = "x" } }, { { name = "x", value = "1", domain = "h", colour = "red" } }, { { name = "x\n", value = "1", domain = "h" } }, { "x=1" } } do
      assert.has_error(function() http.cookies(wrong) end)
    end
  end)
end)

describe("a client with a jar", function()
  local function serve(fn)
    raw.serve(function(req)
      if req.path == "/in" then return response.redirect("/me"):header("set-cookie", { "s=1; Path=/", "t=2; HttpOnly" }) end
      if req.path == "/out" then return response.status(204):header("set-cookie", "s=; Max-Age=0; Path=/") end
      return req.headers.cookie or "none"
    end, nil, function(address) fn("http://" .. address, "http://" .. address:gsub("127.0.0.1", "localhost")) end)
  end

  it("sends what answers set, those of redirects too", function()
    serve(function(base, other)
      local client = http.client { cookies = true }
      assert.equal("none", client:get(base .. "/me").body)
      assert.equal("s=1; t=2", client:get(base .. "/in").body)
      assert.equal("none", client:get(other .. "/me").body)
      assert.equal("mine=0; s=1; t=2", client:get(base .. "/me", { headers = { Cookie = "mine=0" } }).body)
      client:get(base .. "/out")
      assert.equal("t=2", client:get(base .. "/me").body)
      assert.equal("none", http.get(base .. "/in").body)
    end)
  end)

  it("may share it", function()
    serve(function(base)
      local jar = http.cookies()
      http.client({ cookies = jar }):get(base .. "/in")
      assert.equal("s=1; t=2", http.client({ cookies = jar }):get(base .. "/me").body)
      assert.equal(2, #jar:list())
    end)
    assert.has_error(function() http.client { cookies = {} } end)
    assert.matches("unknown option 'cookies'", tostring(outcome.failure(function() http.get("http://h.invalid/", { cookies = true }) end)))
  end)
end)
