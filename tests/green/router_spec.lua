-- SPDX-License-Identifier: MIT
local router = require "green.router"

local function handler() end

local function routes(...)
  local r = router.new()
  for _, spec in ipairs { ... } do
    local method, path = spec:match("^(%S+) (.*)$")
    r:add(method, path, handler)
  end
  return r
end

local function found(r, method, path)
  local route, params = r:find(method, path)
  return route and route.method .. " " .. route.path, params
end

describe("router", function()
  it("prefers literal to :name to *rest, segment by segment", function()
    local r = routes("GET /a/*rest", "GET /a/:x", "GET /a/b", "GET /a/:x/c", "GET /a/b/d")
    assert.equal("GET /a/b", (found(r, "GET", "/a/b")))
    assert.equal("GET /a/:x", (found(r, "GET", "/a/z")))
    assert.equal("GET /a/b/d", (found(r, "GET", "/a/b/d")))
    assert.equal("GET /a/*rest", (found(r, "GET", "/a/z/z/z")))
  end)

  it("goes back when the more specific branch ends nowhere", function()
    local r = routes("GET /a/b/d", "GET /a/:x/c", "GET /*all")
    local name, params = found(r, "GET", "/a/b/c")
    assert.equal("GET /a/:x/c", name)
    assert.same({ x = "b" }, params)
    name, params = found(r, "GET", "/a/b/e")
    assert.equal("GET /*all", name)
    assert.same({ all = "a/b/e" }, params)
  end)

  it("names parameters per route, not per place", function()
    local r = routes("GET /u/:id", "POST /u/:name", "GET /u/:user/posts/:post")
    assert.same({ id = "7" }, select(2, found(r, "GET", "/u/7")))
    assert.same({ name = "7" }, select(2, found(r, "POST", "/u/7")))
    assert.same({ user = "7", post = "8" }, select(2, found(r, "GET", "/u/7/posts/8")))
  end)

  it("decodes parameters and lets no escaped slash separate", function()
    local r = routes("GET /f/:name", "GET /t/*rest", "GET /caf\u{e9}")
    assert.same({ name = "a/b c" }, select(2, found(r, "GET", "/f/a%2Fb%20c")))
    assert.same({ name = "a+b" }, select(2, found(r, "GET", "/f/a+b")))
    assert.same({ rest = "x/y z" }, select(2, found(r, "GET", "/t/x/y%20z")))
    assert.equal("GET /caf\u{e9}", (found(r, "GET", "/caf%C3%A9")))
  end)

  it("is strict about slashes", function()
    local r = routes("GET /a", "GET /b/", "GET /c/:x", "GET /d/*rest")
    assert.is_nil(found(r, "GET", "/a/"))
    assert.is_nil(found(r, "GET", "/b"))
    assert.equal("GET /b/", (found(r, "GET", "/b/")))
    assert.is_nil(found(r, "GET", "/c/"))
    assert.is_nil(found(r, "GET", "/d"))
    assert.same({ rest = "" }, select(2, found(r, "GET", "/d/")))
    assert.same({ rest = "x/" }, select(2, found(r, "GET", "/d/x/")))
  end)

  it("never matches dot segments, escaped or not", function()
    local r = routes("GET /f/:name", "GET /t/*rest")
    for _, path in ipairs { "/f/..", "/f/%2e%2e", "/f/.", "/t/a/../b", "/t/%2E./b" } do
      assert.is_nil(found(r, "GET", path), path)
    end
    assert.same({ name = "..." }, select(2, found(r, "GET", "/f/...")))
  end)

  it("answers HEAD by GET and the rest by ANY", function()
    local r = routes("GET /a", "ANY /a", "HEAD /b", "GET /b")
    assert.equal("GET /a", (found(r, "HEAD", "/a")))
    assert.equal("ANY /a", (found(r, "PURGE", "/a")))
    assert.equal("HEAD /b", (found(r, "HEAD", "/b")))
  end)

  it("lets a less specific route answer a method the other lacks", function()
    local r = routes("POST /a/b", "GET /a/:x", "DELETE /a/*rest")
    assert.equal("GET /a/:x", (found(r, "GET", "/a/b")))
    assert.equal("DELETE /a/*rest", (found(r, "DELETE", "/a/b")))
    local route, allow = r:find("PUT", "/a/b")
    assert.is_nil(route)
    assert.equal("DELETE, GET, HEAD, OPTIONS, POST", allow)
    assert.is_nil(select(2, r:find("GET", "/nowhere")))
  end)

  it("refuses conflicts and names both routes", function()
    local r = routes("GET /a/:x", "GET /b/*x", "ANY /c")
    assert.error_matches(function() r:add("GET", "/a/:y", handler) end, "GET /a/:y conflicts with GET /a/:x", 1, true)
    assert.error_matches(function() r:add("GET", "/b/*y", handler) end, "GET /b/*y conflicts with GET /b/*x", 1, true)
    assert.error_matches(function() r:add("ANY", "/c", handler) end, "conflicts", 1, true)
    r:add("POST", "/a/:y", handler)
    r:add("GET", "/c", handler)
  end)

  it("refuses malformed patterns", function()
    local r = router.new()
    for path, why in pairs {
      ["a"] = "begins with '/'", [""] = "begins with '/'", ["/:"] = "needs a name", ["/*"] = "needs a name",
      ["/:a-b"] = "needs a name", ["/*a/b"] = "must come last", ["/:a/:a"] = "two parameters", ["/a?b"] = "without '?'",
    } do
      assert.error_matches(function() r:add("GET", path, handler) end, why, 1, true)
    end
    assert.error_matches(function() r:add("GET", nil, handler) end, "not nil", 1, true)
  end)

  it("lists its routes in order", function()
    assert.same({ { method = "GET", path = "/b" }, { method = "POST", path = "/a" } }, routes("GET /b", "POST /a"):routes())
  end)

  it("knows which routes can be compared byte by byte", function()
    local function exact(path) return router.is_exact(router.new():add("GET", path, handler)) end
    assert.is_true(exact("/a/b.html"))
    assert.is_true(exact("/"))
    assert.is_false(exact("/:a"))
    assert.is_false(exact("/a b"))
    assert.is_false(exact("/caf\u{e9}"))
    assert.is_false(exact("/a/../b"))
  end)
end)
