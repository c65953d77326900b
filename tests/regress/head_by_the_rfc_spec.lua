-- SPDX-License-Identifier: MIT
-- What RFC 9110 and 9112 say of a head, and conformance suites found otherwise: "Connection: close<TAB>" was not seen, so that the next
-- pipelined request was answered, nor was "chunked<TAB>"; a name with an underscore refused the request; a method that the
-- parser's library did not know was 501; req:header gave the first of repeated lines where req.headers joined them; and n lines of one
-- name cost n squared.
local app = require "green.app"
local raw = require "http.raw"
local response = require "green.response"

local function head(lines, request_line) return (request_line or "GET / HTTP/1.1") .. "\r\nHost: a\r\n" .. lines .. "\r\n\r\n" end

describe("white space around the members of a list", function()
  local function answers(bytes)
    local n
    raw.serve(raw.echo, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(bytes, raw.GET)
      client:shutdown()
      n = 0
      while client:answer() do n = n + 1 end
    end)
    return n
  end

  it("hides no close", function()
    for _, value in ipairs { "close\t", "\tclose", " close \t ", "close,", ",close", "x-a ,\tclose", "close\t,\tx-a", "Close ", "keep-alive,\tCLOSE\t",
      "x-a\r\nConnection: close\t" } do
      assert.equal(1, answers(head("Connection: " .. value)), value)
    end
  end)

  it("makes no close where there is none", function()
    for _, value in ipairs { "xclose", "close x", "closed", '"close"', "", "," } do assert.equal(2, answers(head("Connection: " .. value)), value) end
  end)

  it("hides no keep-alive of HTTP/1.0", function()
    for _, value in ipairs { "keep-alive\t", "x-a\t,\tKeep-Alive" } do
      assert.equal(2, answers(head("Connection: " .. value, "GET / HTTP/1.0")), value)
    end
    assert.equal(1, answers(head("Connection: keep-alive,\tclose\t", "GET / HTTP/1.0")))
  end)

  it("hides no chunked", function()
    raw.serve(raw.echo, {}, function(address)
      for _, value in ipairs { "chunked\t", "\tchunked \t", "Chunked" } do
        local client <close> = raw.connect(address)
        client:send(head("Transfer-Encoding: " .. value, "POST / HTTP/1.1"), "3\r\nabc\r\n0\r\n\r\n", raw.GET)
        assert.equal("POST / [abc]", client:answer().body)
        assert.equal("GET / []", client:answer().body)
      end
    end)
  end)
end)

describe("a header name with an underscore", function()
  local function handler(req) return ("%s %s %s"):format(req:header "x_a", req.headers["x-a"], req.headers["content_length"]) end
  local bytes = head "X_A: 1\r\nX-A: 2\r\nContent_Length: 3"

  it("is served", function()
    raw.serve(handler, {}, function(address) assert.equal("1 2 3", raw.ask(address, bytes).body) end)
    raw.serve(handler, { underscore_headers = true }, function(address) assert.equal("1 2 3", raw.ask(address, bytes).body) end)
  end)

  it("is left out if that is wanted", function()
    raw.serve(handler, { underscore_headers = false }, function(address) assert.equal("nil 2 nil", raw.ask(address, bytes).body) end)
  end)
end)

describe("a header in several lines", function()
  local lines = "If-None-Match: \"x\"\r\nA: 1\r\nIf-None-Match: \"y\"\r\nCookie: a=1\r\nA:\r\nCookie: b=2\r\na: 3"

  it("is the same, joined, by each way to it, and in a test", function()
    local seen = {}
    local function handler(req)
      for _, name in ipairs { "if-none-match", "cookie", "a", "host", "none" } do
        seen[#seen + 1] = { req:header(name), req.headers[name], req:header(name:upper()) }
      end
      return "x"
    end
    raw.serve(handler, {}, function(address) raw.ask(address, head(lines)) end)
    local a = app.new()
    a:get("/", handler)
    a:inject { path = "/", headers = { host = "a", ["If-None-Match"] = { '"x"', '"y"' }, Cookie = { "a=1", "b=2" }, A = { "1", "", "3" } } }
    local expected = { '"x", "y"', "a=1; b=2", "1, , 3", "a" }
    for i, value in ipairs(expected) do
      assert.same({ value, value, value }, seen[i])
      assert.same({ value, value, value }, seen[i + 5])
    end
    assert.same({}, seen[5])
    assert.same({}, seen[10])
  end)

  it("is what a condition asks for", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    raw.serve(function() return response.file(path) end, {}, function(address)
      local tag = raw.ask(address, raw.GET).headers.etag
      assert.equal(304, raw.ask(address, head("If-None-Match: \"x\"\r\nIf-None-Match: " .. tag)).status)
    end)
  end)

  it("of many lines costs as much for each", function()
    local n
    local function cpu(lines_of)
      local spent
      raw.serve(function(req)
        local from = os.clock()
        local headers = req.headers
        spent = os.clock() - from
        n = 0
        for _ in pairs(headers) do n = n + 1 end
        return "x"
      end, { max_headers = 10000, max_head = 1 << 20 }, function(address)
        local least = math.huge
        for _ = 1, 5 do
          assert.equal(200, raw.ask(address, head(lines_of)).status)
          least = math.min(least, spent)
        end
        spent = least
      end)
      return spent
    end
    local function same(count) return ("A: " .. ("b"):rep(40) .. "\r\n"):rep(count) .. "B: c" end
    local function twice(count)
      local out = {}
      for i = 1, count do out[i] = ("A%d: b"):format(i % (count // 2)) end
      return table.concat(out, "\r\n")
    end
    for _, lines_of in ipairs { same, twice } do
      local once, four = cpu(lines_of(2000)), cpu(lines_of(8000))
      assert.is_true(four < 10 * once + 0.002, ("%d lines: %.6f s, %d: %.6f s"):format(2000, once, 8000, four))
    end
  end)
end)

describe("a method", function()
  local a = app.new()
  a:any("/any", function(req) return req.method .. " any " .. req:body() end)
  a:any("/any/:id", function(req) return req.method .. " any " .. req.params.id end)
  a:route("QUERY", "/query", function(req) return "query " .. req:body() end)
  a:get("/query", function() return "get" end)
  a:get("/get", function() return "get" end)

  local function over_socket(spec)
    local answer
    local server = a:listen "127.0.0.1:0"
    answer = raw.ask(server:address(), ("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(spec.method, spec.path, #(spec.body or ""), spec.body or ""))
    server:abort()
    return answer
  end

  for name, ask in pairs { socket = over_socket, inject = function(spec) return a:inject(spec) end } do
    it("may be any token, and reaches what is said to take it: " .. name, function()
      assert.equal("QUERY any x", ask({ method = "QUERY", path = "/any", body = "x" }).body)
      assert.equal("BREW any 7", ask({ method = "BREW", path = "/any/7" }).body)
      assert.equal("get any ", ask({ method = "get", path = "/any" }).body)
      assert.equal("PROPFIND any ", ask({ method = "PROPFIND", path = "/any" }).body)
      assert.equal("query x", ask({ method = "QUERY", path = "/query", body = "x" }).body)
      assert.equal("get", ask({ method = "GET", path = "/query" }).body)
      local refused = ask({ method = "BREW", path = "/query" })
      assert.same({ 405, "GET, HEAD, OPTIONS, QUERY" }, { refused.status, refused.headers.allow })
      assert.equal(405, ask({ method = "get", path = "/get" }).status)
      assert.equal(404, ask({ method = "BREW", path = "/none" }).status)
    end)
  end

  it("that is none, or none of the server's, is refused as a route", function()
    for method, message in pairs { ["GET /x"] = "a method expected", [""] = "a method expected", get = "'GET'", Query = "'QUERY'", CONNECT = "refuses CONNECT",
      [("A"):rep(33)] = "a method expected" } do
      assert.error_matches(function() app.new():route(method, "/", print) end, message)
    end
    assert.error_matches(function() app.new():route(nil, "/", print) end, "a method expected")
  end)
end)

describe("a route as others write it", function()
  it("is refused with the spelling that is right", function()
    for path, own in pairs { ["/z/{id}"] = ":id", ["/w/<id>"] = ":id", ["/w/<int:id>"] = ":id", ["/a/[id]"] = ":id", ["/f/{path...}"] = "*path",
      ["/f/<path:rest>"] = "*rest", ["/f/[...rest]"] = "*rest", ["/f/{*rest}"] = "*rest", ["/a/{id}/b"] = ":id" } do
      assert.error_matches(function() app.new():get(path, print) end, "a parameter is written '" .. own .. "'", 1, true)
    end
    assert.error_matches(function() app.new():get("/{}", print) end, "'{}' cannot be in a URL", 1, true)
  end)
end)

describe("the id of a request", function()
  it("is no address, differs, and says nothing about how many there were", function()
    local seen, last = {}, nil
    raw.serve(function(req) return req.id end, {}, function(address)
      local client <close> = raw.connect(address)
      for _ = 1, 100 do
        client:send(raw.GET)
        local id = client:answer().body
        assert.matches("^%x+$", id)
        assert.equal(16, #id)
        assert.is_nil(seen[id])
        seen[id] = true
        if last then assert.not_equal(last:sub(1, 12), id:sub(1, 12)) end
        last = id
      end
    end)
  end)

  it("is that of a proxy only if that is trusted, and sane", function()
    local function handler(req) return req.id end
    raw.serve(handler, {}, function(address) assert.matches("^%x+$", raw.ask(address, head "X-Request-Id: own-7").body) end)
    raw.serve(handler, { trust_request_id = true }, function(address)
      assert.equal("own-7", raw.ask(address, head "X-Request-Id: own-7").body)
      assert.equal(("a"):rep(128), raw.ask(address, head("X-Request-Id: " .. ("a"):rep(128))).body)
      for _, bad in ipairs { "", "a b", "a\tb", "\xe4", ("a"):rep(129) } do
        assert.matches("^%x+$", raw.ask(address, head("X-Request-Id: " .. bad)).body)
        assert.equal(16, #raw.ask(address, head("X-Request-Id: " .. bad)).body)
      end
    end)
  end)
end)
