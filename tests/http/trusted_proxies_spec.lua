-- SPDX-License-Identifier: MIT
-- Who the client is, behind proxies: what trusted ones say counts, as far as each of them vouches for it, and nobody else's word does.
local native = require "green.http.native"
local raw = require "http.raw"
local test = require "green.test"
local ws = require "green.ws"

local T = 60

local function tell(req) return ("%s %s %s"):format(req.remote:gsub("^127%.0%.0%.1:%d+$", "peer"), req.scheme, req.host or "none") end

-- What a server with these options makes of header lines.
local function asked(options, lines, head)
  local got
  raw.serve(tell, options, function(address)
    got = raw.ask(address, (head or "GET / HTTP/1.1\r\nHost: own.example\r\n"), lines, "\r\n").body
  end)
  return got
end

local function x(client, proto, host)
  return (client and "X-Forwarded-For: " .. client .. "\r\n" or "") .. (proto and "X-Forwarded-Proto: " .. proto .. "\r\n" or "")
    .. (host and "X-Forwarded-Host: " .. host .. "\r\n" or "")
end

local HERE = { trusted_proxies = { "127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48" } }

describe("behind a proxy", function()
  it("nobody is believed unless the server trusts its address", function()
    local forged = x("1.2.3.4", "https", "evil.example") .. "Forwarded: for=1.2.3.4;proto=https;host=evil.example\r\n"
    assert.equal("peer http own.example", asked({}, forged))
    assert.equal("peer http own.example", asked({ trusted_proxies = {} }, forged))
    assert.equal("peer http own.example", asked({ trusted_proxies = { "10.0.0.0/8", "::1", "127.0.0.2", "unix" } }, forged))
  end)

  it("the client is the last address that is not a trusted proxy's", function()
    for list, remote in pairs {
      ["1.2.3.4"] = "1.2.3.4:0", ["1.2.3.4:77"] = "1.2.3.4:77", ["2001:db8::7"] = "[2001:db8::7]:0", ["[2001:db8::7]"] = "[2001:db8::7]:0",
      ["[2001:db8::7]:80"] = "[2001:db8::7]:80", ["6.6.6.6, 1.2.3.4"] = "1.2.3.4:0", ["6.6.6.6,1.2.3.4 , 10.1.2.3"] = "1.2.3.4:0",
      ["1.2.3.4, 10.1.2.3, 10.1.2.4,, 2001:db8:1:2::3"] = "1.2.3.4:0", ["10.9.9.9, 10.1.1.1"] = "10.9.9.9:0",
      ["1.2.3.4\r\nX-Forwarded-For: 10.1.1.1"] = "1.2.3.4:0", ["6.6.6.6\r\nX-Forwarded-For: 1.2.3.4"] = "1.2.3.4:0",
      ["6.6.6.6, ::ffff:10.1.2.3"] = "6.6.6.6:0", ["11.0.0.1"] = "11.0.0.1:0",
      -- what is left of no address at all was perhaps written by anybody
      ["1.2.3.4, unknown"] = "peer", ["1.2.3.4, _hidden, 10.1.1.1"] = "10.1.1.1:0", ["1.2.3.4, 999.1.1.1"] = "peer", [""] = "peer",
      ["1.2.3.4:99999"] = "peer", ["1.2.3.4:"] = "peer", ["[1.2.3.4]"] = "peer", ["2001:db8::7:80:1:2:3:4"] = "peer", ["fe80::1%lo"] = "peer",
      ["a.example"] = "peer", [("1"):rep(5000)] = "peer", ["'1.2.3.4'"] = "peer", ["\"1.2.3.4\""] = "peer",
      ["unix:"] = "peer",
    } do
      assert.equal(remote .. " http own.example", asked(HERE, x(list)), list)
    end
  end)

  it("nginx's word for a peer on a unix socket is a trusted proxy's if unix sockets are", function()
    local options = { trusted_proxies = { "127.0.0.1", "unix" } }
    assert.equal("1.2.3.4:0 http own.example", asked(options, x "1.2.3.4, unix:"))
    assert.equal("peer http own.example", asked(options, x "unix:"))
  end)

  it("scheme and host are those that the proxy was asked for", function()
    for _, case in ipairs {
      { "https", "front.example", "https front.example" }, { "HTTPS", "front.example:8443", "https front.example:8443" },
      { "wss", nil, "https own.example" }, { "http", "[::1]:80", "http [::1]:80" }, { "gopher", "a b", "http own.example" },
      { "", "", "http own.example" }, { "https;", "a/b", "http own.example" }, { "https", "a.example\r\nX-Forwarded-Host: b.example", "https b.example" },
    } do
      assert.equal("1.2.3.4:0 " .. case[3], asked(HERE, x("1.2.3.4", case[1], case[2])))
      assert.equal("peer " .. case[3], asked(HERE, x(nil, case[1], case[2])))
    end
  end)

  it("of lists, what counts is what belongs to the client, or else what the nearest proxy wrote", function()
    assert.equal("1.2.3.4:0 https b.example", asked(HERE, x("6.6.6.6, 1.2.3.4, 10.1.1.1", "http, https, http", "a.example, b.example, c.example")))
    assert.equal("1.2.3.4:0 http c.example", asked(HERE, x("6.6.6.6, 1.2.3.4, 10.1.1.1", "https, http", "a.example, b.example, c.example, c.example")))
    assert.equal("peer http b.example", asked(HERE, x("unknown", "http", "b.example")))
  end)

  it("only the headers count that the server is told to", function()
    local all = x("1.2.3.4", "https", "front.example") .. "Forwarded: for=5.6.7.8;proto=https;host=other.example\r\n"
    local function with(...) return { trusted_proxies = { "127.0.0.1" }, proxy_headers = { ... } } end
    assert.equal("1.2.3.4:0 https front.example", asked({ trusted_proxies = { "127.0.0.1" } }, all))
    assert.equal("1.2.3.4:0 http own.example", asked(with "x-forwarded-for", all))
    assert.equal("peer https own.example", asked(with "X-Forwarded-Proto", all))
    assert.equal("peer http front.example", asked(with "x-forwarded-host", all))
    assert.equal("5.6.7.8:0 https other.example", asked(with "forwarded", all))
    assert.equal("peer http own.example", asked(with(), all))
  end)

  it("Forwarded is read as RFC 7239 has it", function()
    local options = { trusted_proxies = { "127.0.0.1", "10.0.0.0/8" }, proxy_headers = { "forwarded" } }
    for value, want in pairs {
      ["for=1.2.3.4"] = "1.2.3.4:0 http own.example", ['For="[2001:db8::7]:4711"'] = "[2001:db8::7]:4711 http own.example",
      ['for=1.2.3.4;proto=https;by=10.0.0.1;host="a.example:81"'] = "1.2.3.4:0 https a.example:81",
      ["proto=http;for=6.6.6.6;host=x.example, for=1.2.3.4;proto=https;host=a.example, for=10.0.0.2;proto=http"] = "1.2.3.4:0 https a.example",
      ["for=1.2.3.4\r\nForwarded: for=10.0.0.2;proto=https"] = "1.2.3.4:0 http own.example",
      ["for=1.2.3.4, for=unknown;proto=https"] = "peer https own.example", ["proto=https;host=a.example"] = "peer https a.example",
      ["for=1.2.3.4, for=_x, for=10.0.0.2;proto=https"] = "10.0.0.2:0 https own.example",
      ["for=1.2.3.4;for=5.6.7.8"] = "peer http own.example", ["for=1.2.3.4;proto"] = "peer http own.example", ["=,;"] = "peer http own.example",
      ['for="1.2.3.4'] = "peer http own.example", ['for="1.2\\.3.4"'] = "peer http own.example", [""] = "peer http own.example",
      ["for=1.2.3.4;;proto=https;"] = "1.2.3.4:0 https own.example", ["for=[2001:db8::7]"] = "[2001:db8::7]:0 http own.example",
    } do
      assert.equal(want, asked(options, "Forwarded: " .. value .. "\r\n"), value)
    end
  end)

  it("whatever the headers hold, remote is an address, scheme one of two, and host no more than a host", function()
    local pieces = { "for=", "1.2.3.4", "10.0.0.1", "[::1]", ":80", ",", ", ", ";", "proto=", "https", "host=", "a.example", '"', "\\", "=", "unix:", "%", "\t",
      "_x", "255.255.255.255.1", "[", "]", "\xff" }
    local seed = os.time()
    math.randomseed(seed)
    local function value()
      local list = {}
      for i = 1, math.random(0, 12) do list[i] = pieces[math.random(#pieces)] end
      return table.concat(list)
    end
    for _, headers in ipairs { { "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host" }, { "forwarded" } } do
      raw.serve(tell, { trusted_proxies = { "127.0.0.1", "10.0.0.0/8", "unix" }, proxy_headers = headers }, function(address)
        local client <close> = raw.connect(address)
        for _ = 1, 300 do
          local lines = {}
          for i = 1, math.random(1, 4) do lines[i] = headers[math.random(#headers)] .. ": " .. value() .. "\r\n" end
          client:send("GET / HTTP/1.1\r\nHost: own.example\r\n", table.concat(lines), "\r\n")
          local remote, scheme, host = client:answer().body:match "^(%S+) (%S+) (%S+)$"
          local what = ("seed %d: %s"):format(seed, table.concat(lines))
          assert.is_truthy(remote == "peer" or remote:find "^%d+%.%d+%.%d+%.%d+:%d+$" or remote:find "^%[[%x:]+%]:%d+$", what)
          assert.is_truthy(scheme == "http" or scheme == "https", what)
          assert.is_nil(host:find '[,"\\/@]', what)
        end
      end)
    end
  end)

  it("a request has no more than one Host, and HTTP/1.0 may have none", function()
    assert.equal("peer http none", asked({}, "", "GET / HTTP/1.0\r\n"))
    assert.equal("peer http front.example", asked(HERE, x(nil, nil, "front.example"), "GET / HTTP/1.0\r\n"))
    assert.equal("peer http other.example", asked({}, "", "GET http://other.example/ HTTP/1.1\r\nHost: own.example\r\n"))
  end)

  it("a unix socket may be a proxy's", function()
    local path = os.tmpname()
    os.remove(path)
    for _, trusted in ipairs { { "unix" }, { "127.0.0.1" } } do
      local server = native.listen("unix:" .. path, tell, { trusted_proxies = trusted })
      local answer = raw.ask("unix:" .. path, "GET / HTTP/1.1\r\nHost: a\r\n" .. x "1.2.3.4" .. "\r\n")
      assert.equal(trusted[1] == "unix" and "1.2.3.4:0 http a" or "unix http a", answer.body)
      server:abort()
      server:finish(T)
    end
  end)

  it("what the server knew is known when the request was answered", function()
    local kept
    raw.serve(function(req)
      kept = req
      return tell(req)
    end, HERE, function(address)
      raw.ask(address, "GET / HTTP/1.1\r\nHost: a\r\n", x("1.2.3.4", "https", "front.example"), "\r\n")
      assert.equal("1.2.3.4:0 https front.example", tell(kept))
    end)
  end)

  it("a page of the host that the proxy was asked for may open a WebSocket", function()
    local function statuses(options)
      local list = {}
      raw.serve(function(req) return ws.accept(req) end, options, function(address)
        for i, origin in ipairs { "https://front.example", "https://own.example" } do
          local client <close> = raw.connect(address)
          client:send("GET / HTTP/1.1\r\nHost: own.example\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ", origin, "\r\n", x("1.2.3.4", "https", "front.example"), "\r\n")
          list[i] = client:answer().status
        end
      end)
      return list
    end
    assert.same({ 101, 403 }, statuses(HERE))
    assert.same({ 403, 101 }, statuses {})
  end)

  it("inject has a host, too", function()
    assert.equal("a.example", test.request { headers = { Host = "a.example" } }.host)
    assert.equal("localhost", test.request {}.host)
  end)

  it("wrong options are told by what is wrong", function()
    for wanted, options in pairs {
      ["option 'trusted_proxies': '10.0.0.1/8': the address has more bits than the number behind the slash says"] = { trusted_proxies = { "10.0.0.1/8" } },
      ["'10.0.0.0/33': what follows the slash must be 0 to 32"] = { trusted_proxies = { "10.0.0.0/33" } },
      ["'::/129': what follows the slash must be 0 to 128"] = { trusted_proxies = { "::/129" } },
      ["'10.0.0.0/': what follows the slash must be 0 to 32"] = { trusted_proxies = { "10.0.0.0/" } },
      ["'proxy': not an IP address"] = { trusted_proxies = { "proxy" } },
      ["'fe80::%lo/64': not an IP address"] = { trusted_proxies = { "fe80::%lo/64" } },
      ["a list of networks, not a string"] = { trusted_proxies = "10.0.0.0/8" },
      ["a list of networks, not of a number"] = { trusted_proxies = { 10 } },
      ["unknown header 'x-forwarded-fo'; did you mean 'x-forwarded-for'?"] = { trusted_proxies = {}, proxy_headers = { "x-forwarded-fo" } },
      ["'forwarded' excludes the others"] = { trusted_proxies = {}, proxy_headers = { "forwarded", "x-forwarded-for" } },
      ["a list of names, not of a boolean"] = { trusted_proxies = {}, proxy_headers = { true } },
      ["a list of names, not a string"] = { trusted_proxies = {}, proxy_headers = "forwarded" },
      ["means nothing without 'trusted_proxies'"] = { proxy_headers = { "forwarded" } },
    } do
      for _, check in ipairs { function(o) native.check_options(o) end, function(o) native.listen("127.0.0.1:0", tell, o) end } do
        local ok, err = pcall(check, options)
        assert.is_false(ok)
        assert.is_truthy(tostring(err):find(wanted, 1, true), tostring(err))
      end
    end
    native.check_options { trusted_proxies = { "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "unix" } }
  end)
end)
