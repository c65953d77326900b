-- SPDX-License-Identifier: MIT
-- Which proxy a request goes through: option and environment, no_proxy with networks and ports; and what a proxy is sent.
local fault = require "green.error"
local http = require "green.http"
local net = require "green.net"
local outcome = require "outcome"
local proxy = require "green.http.proxy"
local sh = require "shell"
local task = require "green.task"
local url = require "green.url"

local function selected(target, env, setting)
  local parts = url.parse(target)
  local got = proxy.select("http.get", setting, parts, parts.port or (parts.scheme == "https" and 443 or 80), function(name) return env[name] end)
  return got and got.host .. ":" .. got.port
end

describe("the proxy", function()
  it("is the environment's, read as curl does", function()
    for _, case in ipairs {
      { "http://h/", { http_proxy = "http://p:1" }, "p:1" }, { "https://h/", { http_proxy = "http://p:1" }, nil },
      { "http://h/", { HTTP_PROXY = "http://p:1" }, nil }, -- a header of a CGI script's client
      { "https://h/", { https_proxy = "http://p:1" }, "p:1" }, { "https://h/", { HTTPS_PROXY = "p:1" }, "p:1" },
      { "http://h/", { all_proxy = "p" }, "p:80" }, { "https://h/", { ALL_PROXY = "p:1" }, "p:1" },
      { "http://h/", { http_proxy = "", all_proxy = "p:2" }, "p:2" }, { "http://h/", { http_proxy = "[::1]:3" }, "::1:3" },
      { "http://h/", {}, nil },
    } do assert.equal(case[3], selected(case[1], case[2]), case[1]) end
  end)

  it("is the client's before the environment's", function()
    local env = { http_proxy = "http://p:1", no_proxy = "*" }
    assert.equal("q:2", selected("http://h/", env, "http://q:2"))
    assert.is_nil(selected("http://h/", { http_proxy = "http://p:1" }, false))
  end)

  it("is passed by for hosts of no_proxy", function()
    local function exempt(list, target)
      local lower = selected(target, { http_proxy = "p", https_proxy = "p", no_proxy = list })
      assert.equal(lower, selected(target, { http_proxy = "p", https_proxy = "p", NO_PROXY = list }))
      return lower == nil
    end
    for _, case in ipairs {
      { "*", "http://h/" }, { "a, *", "http://h/" }, { "h", "http://h/" }, { "H.Example", "http://h.example/" }, { "example", "http://h.example/" },
      { ".example", "http://h.example/" }, { ".example", "http://example/" }, { "*.example", "http://h.example/" }, { "example.", "http://h.example/" },
      { "h.example", "http://h.example./" }, { "a b\tc", "http://c/" }, { "a,,b", "http://b/" },
      { "10.0.0.1", "http://10.0.0.1/" }, { "10.0.0.0/8", "http://10.200.3.4/" }, { "192.168.4.0/22", "http://192.168.7.255/" }, { "0.0.0.0/0", "http://1.2.3.4/" },
      { "10.1.2.3/32", "http://10.1.2.3/" }, { "::1", "http://[::1]/" }, { "[::1]", "http://[::1]/" }, { "fd00::/8", "http://[fd12::3]/" }, { "2001:db8::/33", "http://[2001:db8:7fff::]/" },
      { "::ffff:1.2.3.0/120", "http://[::ffff:1.2.3.4]/" }, { "h:80", "http://h/" }, { "h:8080", "http://h:8080/" }, { "h:443", "https://h/" }, { "[::1]:81", "http://[::1]:81/" },
      { "10.0.0.1:80", "http://10.0.0.1/" },
    } do assert.is_true(exempt(case[1], case[2]), case[1] .. " " .. case[2]) end
    for _, case in ipairs {
      { "", "http://h/" }, { "example", "http://myexample/" }, { "h.example", "http://example/" }, { "h*", "http://host/" }, { "10.0.0.0/8", "http://11.0.0.1/" },
      { "192.168.4.0/22", "http://192.168.8.0/" }, { "10.0.0.0/8", "http://[::a00:1]/" }, { "10.0.0.0/33", "http://10.0.0.1/" }, { "fd00::/8", "http://[fe00::]/" },
      { "2001:db8::/33", "http://[2001:db8:8000::]/" }, { "h:81", "http://h/" }, { "10", "http://10.0.0.1/" }, { "1", "http://10.0.0.1/" }, { "300.0.0.0/8", "http://44.0.0.1/" },
      { "10.0.0.0/8", "http://10.example/" },
    } do assert.is_false(exempt(case[1], case[2]), case[1] .. " " .. case[2]) end
  end)

  it("is refused when it is none that can be spoken to", function()
    for _, text in ipairs { "socks5://p:1", "https://p:1", "http://", "http://a b", "http://p:x", "ftp://p", "/run/p" } do
      local e = outcome.failure(selected, "http://h/", { http_proxy = text })
      assert.is_true(fault.is(e, "EINVAL"), text)
      assert.matches("^http.get: http_proxy: ", e.message)
      e = outcome.failure(http.get, "http://h.invalid/", { proxy = text })
      assert.matches("^http.get: proxy: ", e.message)
    end
  end)

  it("is asked for the whole URL, with its own authorization and not the server's", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local asked = task.spawn(function()
      local socket <close> = listener:accept()
      local head = ""
      while not head:find("\r\n\r\n", 1, true) do head = head .. assert(socket:read(4096, 20)) end
      socket:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
      return head
    end)
    local address = listener:address()
    assert.equal("ok", http.get("http://far.invalid/x?y", { proxy = "http://us%40er:pass@" .. address, auth = { bearer = "t" } }).body)
    local head = asked:join()
    assert.matches("^GET http://far.invalid:?8?0?/x%?y HTTP/1.1\r\n", head)
    assert.matches("\r\nProxy%-Authorization: Basic dXNAZXI6cGFzcw==\r\n", head)
    assert.matches("\r\nAuthorization: Bearer t\r\n", head)
  end)

  it("has a time of its own to make a tunnel", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local silent = task.spawn(function()
      local socket <close> = listener:accept()
      while socket:read(4096) do end -- until the client gives up
    end)
    local e = outcome.failure(http.get, "https://far.invalid/", {
      proxy = "http://" .. listener:address(), timeouts = { proxy = 0.05 }, connect_timeout = 60, timeout = 60,
    })
    assert.equal("ETIMEDOUT proxy", e.code .. " " .. e.phase)
    assert.matches("timed out waiting for the proxy", e.message)
    silent:join()
    for _, word in ipairs { "Proxy", "first_bytes", "send", "head", "total", "connecting" } do
      e = outcome.failure(http.get, "http://h.invalid/", { timeouts = { [word] = 1 } })
      assert.is_truthy(tostring(e):find(("http.get: timeouts: unknown phase '%s'"):format(word), 1, true), tostring(e))
    end
  end)

  it("comes from the process's environment", function()
    local out = sh([[http_proxy=http://127.0.0.1:1 $lua a.lua; http_proxy=http://127.0.0.1:1 no_proxy=.invalid $lua a.lua]], { ["a.lua"] = [[
      local ok, e = pcall(require "green.http".get, "http://far.invalid/")
      print(e.code)
    ]] })
    assert.equal("ECONNREFUSED\nENOTFOUND\n", out)
  end)
end)
