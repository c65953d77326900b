-- SPDX-License-Identifier: MIT
-- url.parse and the client read different hosts out of the same URL: `http:///a.localhost/` had none for the one and a.localhost for
-- the other, `http://a%2elocalhost/` was decoded by one of them only. Whoever decided by host was passed by.
-- There is one parser, which refuses what could be read in two ways, and the client asks for what it understood.
local fault = require "green.error"
local http = require "green.http"
local raw = require "http.raw"
local url = require "green.url"

local REFUSED = {
  "http:///a.localhost/", "http://a%2elocalhost/", "http:/a.localhost/", "http:a.localhost/", "http:////a.localhost/", "http://", "http://?a.localhost", "http://#a.localhost",
  "http://@/", "http://:80/", "http://a.localhost\\@b.localhost/", "http:\\\\a.localhost/", "http://a.localhost\\b", "/\\a.localhost", "\\\\a.localhost/", "///a.localhost/",
  "http://a.localhost@b.localhost@c.localhost/", "http://a.localhost:80:81/", "http://a.localhost:x/", "http://a.localhost:+80/", "http://a.localhost:0x50/",
  "http://a.localhost:99999999999999999999/", "http://a.localhost:65536/", "http://a.localhost: 80/", "http://a .localhost/", "http://a\t.localhost/", "ht\ntp://a.localhost/",
  "http://a.localhost\0.b/", " http://a.localhost/", "http://\u{ff41}.localhost/", "http://a\u{3002}localhost/", "http://a\u{ad}.localhost/", "http://\u{e9}\u{3002}localhost/", "http://\u{212a}.localhost/", "http://\u{e9}\xff.localhost/",
  "http://\u{e9}\u{2044}.localhost/", "http://\u{e9}\u{ff0f}.localhost/", "http://\u{e9}\u{ff20}b/", "http://%C3%A9.localhost/", "http://\u{ff11}27.0.0.1/", "http://\u{2460}/", "http://\u{ad}/", "http://\u{e9}_\0.localhost/",
  "http://" .. ("\u{e9}"):rep(60) .. ".localhost/", "http://" .. ("\u{e9}."):rep(300) .. "localhost/",
  "http://a..localhost/", "http://.localhost/", "http://./", "http://a,localhost/", "http://a;localhost/", "http://<a>/", "http://a|b/", "http://a^b/", "http://*/",
  "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/", "http://127.0.0.01/", "http://127.0.0.256/", "http://127.0.0.1./", "http://127.0.0.0x1/",
  "http://a.1/", "http://1/", "http://1.2.3.4.5/", "http://[::1/", "http://::1/", "http://[::1]a/", "http://a[::1]/", "http://[]/", "http://[:::1]/", "http://[1:2:3:4:5:6:7]/",
  "http://[1::2::3]/", "http://[::g]/", "http://[::12345]/", "http://[::1%25lo]/", "http://[127.0.0.1]/", "http://[1.2.3.4::]/", "http://[1:2:3:4:5:6:7:8:9]/", "http://[::1:]/",
  "http://" .. ("a"):rep(300) .. "/", "https:///x", "ws:///x", "wss:x", "//", "//@/", "//:1/",
}

describe("a URL that can be read in two ways", function()
  it("is refused by url.parse and by the client", function()
    for _, text in ipairs(REFUSED) do
      local ok, why = pcall(url.parse, text)
      assert.is_false(ok, text)
      assert.same({ true, "url.parse" }, { fault.is(why, "EINVAL"), why.op }, text)
      ok, why = pcall(http.get, text)
      assert.is_false(ok, text)
      assert.same({ true, "http.get" }, { fault.is(why, "EINVAL"), why.op }, text)
    end
  end)

  it("is not what these are", function()
    for text, host in pairs {
      ["http://A.LocalHost:80/x"] = "a.localhost", ["http://localhost./"] = "localhost.", ["http://127.0.0.1/"] = "127.0.0.1", ["http://[::1]:1"] = "[::1]",
      ["http://[2001:DB8::a:1.2.3.4]/"] = "[2001:db8::a:1.2.3.4]", ["http://[1:2:3:4:5:6:7:8]/"] = "[1:2:3:4:5:6:7:8]", ["http://[::]/"] = "[::]", ["http://[1::]/"] = "[1::]",
      ["http://xn--bcher-kva.example/"] = "xn--bcher-kva.example", ["http://a_b-c.example/"] = "a_b-c.example", ["http://B\u{dc}cher.example/"] = "xn--bcher-kva.example",
      ["http://\u{e9}_x.localhost/"] = "xn--_x-9ia.localhost",
      ["http://bu\u{308}cher.example/"] = "xn--bcher-kva.example", ["http://stra\u{df}e.example/"] = "xn--strae-oqa.example", ["http://\u{65e5}\u{672c}.example:80/"] = "xn--wgv71a.example", ["http://u%40v:p@h/"] = "h", ["http://0.0.0.0/"] = "0.0.0.0",
      ["http://1a.example/?q=\\&x=%zz@y#\\"] = "1a.example", ["http://a.localhost?@b.localhost/"] = "a.localhost", ["http://a.localhost#@b.localhost/"] = "a.localhost",
      ["postgres://u@/db"] = "", ["file:///etc/passwd"] = "", ["redis://%2Ftmp%2Fsock/1"] = "%2ftmp%2fsock", ["//h/p"] = "h",
    } do assert.equal(host, url.parse(text).host, text) end
  end)

  it("is not made by url.build", function()
    for _, parts in ipairs {
      { host = "good.example/evil" }, { host = "a@b" }, { host = "a:1" }, { host = "" }, { host = "a\\b" }, { host = "a b" }, { host = "a#b" }, { host = "a?b" },
      { scheme = "postgres", host = "a/b" }, { scheme = "ht tp", host = "a" }, { scheme = "http:", host = "a" }, { host = "a", port = "80/x" }, { host = "a", port = 65536 },
    } do
      local ok, why = pcall(url.build, parts)
      assert.is_false(ok)
      assert.is_true(fault.is(why, "EINVAL"))
    end
    assert.equal("http://h/a%3Fb%23c%5Cd%20%0A?x=%23%20#%20", url.build { scheme = "http", host = "h", path = "a?b#c\\d \n", query = "x=# ", fragment = " " })
    assert.same({ "/.//evil.example/x", "./javascript:x" }, { url.build { path = "//evil.example/x" }, url.build { path = "javascript:x" } })
  end)
end)

local WORDS = {
  "http", "https", "HTTP", ":", "/", "//", "@", "a.localhost", "localhost", "127.0.0.1", "[::1]", "b", ".", "..", "%2e", "%40", "%2F", "\\", "?", "#", "=", "&", ":80", "\t", "\0",
  "\u{e9}", "\u{ff0f}", "\u{3002}", "user", ":p", "[", "]", "0x7f", "1", "+", "-", ";", ",", "%", "%zz",
}

describe("random URLs", function()
  local random = math.tointeger(tonumber(os.getenv "FUZZ_SEED" or 16))
  local cases = math.tointeger(tonumber(os.getenv "FUZZ_CASES" or 20000))

  local function next_random(n)
    random = random * 6364136223846793005 + 1442695040888963407
    return (random >> 33) % n + 1
  end

  local function next_url(words, start)
    local list = { start }
    for _ = 1, next_random(9) do list[#list + 1] = words[next_random(#words)] end
    return table.concat(list)
  end

  it("are refused, or come out as they went in (seed " .. random .. ")", function()
    local accepted = 0
    for i = 1, cases do
      local text = next_url(WORDS, i % 2 == 0 and "http://" or "")
      local ok, parts = pcall(url.parse, text)
      if ok then
        accepted = accepted + 1
        local again = url.parse(url.build(parts))
        for _, name in ipairs { "scheme", "user", "password", "host", "port", "fragment" } do assert.equal(parts[name], again[name], text) end
      else
        assert.is_true(fault.is(parts, "EINVAL"), text)
      end
    end
    assert.is_true(accepted > cases / 20)
  end)

  it("reach the host that was parsed, or none (seed " .. random .. ")", function()
    local hosts = { ["a.localhost"] = true, localhost = true, ["127.0.0.1"] = true }
    raw.serve(function(req) return req.headers.host end, nil, function(address)
      local port = address:match ":(%d+)$"
      local asked = 0
      for _ = 1, cases // 20 do
        local host = ({ "a.localhost", "localhost", "127.0.0.1" })[next_random(3)]
        local before, after = next_random(3) == 1 and next_url(WORDS, "") or "", next_random(3) == 1 and WORDS[next_random(#WORDS)] or ""
        local text = "http://" .. before .. host .. after .. ":" .. port .. next_url({ "/", "?", "#", "@", "x", "%2f", ":1", "\\" }, "")
        local ok, parts = pcall(url.parse, text)
        if not ok then
          local got, why = pcall(http.get, text)
          assert.is_true(not got and fault.is(why, "EINVAL"), text)
        elseif hosts[parts.host] and parts.port == tonumber(port) then
          asked = asked + 1
          assert.equal(parts.host .. ":" .. port, http.get(text).body, text)
        end
      end
      assert.is_true(asked > 100)
    end)
  end)
end)
