-- SPDX-License-Identifier: MIT
-- The header of the PROXY protocol (haproxy.org, doc/proxy-protocol.txt): it makes clients known to a server behind a proxy that speaks TCP
-- only, if the server trusts the proxy.
local certificates = require "net.certificates"
local native = require "green.http.native"
local raw = require "http.raw"
local task = require "green.task"

local GET = "GET / HTTP/1.1\r\nHost: own.example\r\n"
local HERE = { trusted_proxies = { "127.0.0.0/8", "10.0.0.0/8" }, proxy_protocol = true }
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

local function tell(req) return ("%s %s %s"):format(req.remote:gsub("^127%.0%.0%.1:%d+$", "peer"), req.scheme, req.host or "none") end

local function with(options, fn) raw.serve(tell, options, fn) end

-- What a server that believes us makes of a connection that begins with these bytes.
local function told(header, lines)
  local got
  with(HERE, function(address) got = raw.ask(address, header, GET, lines or "", "\r\n").body end)
  return got
end

-- Is a connection that begins so closed, without a word of ours?
local function is_refused(header)
  local said
  with(HERE, function(address)
    local client <close> = raw.connect(address)
    client:send(header, GET, "\r\n")
    said = client:rest()
  end)
  return said == ""
end

-- ---- version 2 ----

local function v2(command, family, body) return SIGNATURE .. string.char(0x20 | command, family) .. string.pack(">s2", body) end

local function ip4(address, port) return string.char(address:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"), port end

local function tcp4(address, port, rest)
  return v2(1, 0x11, ip4(address) .. string.char(127, 0, 0, 1) .. string.pack(">I2I2", port, 80) .. (rest or ""))
end

local function tlv(kind, value) return string.char(kind) .. string.pack(">s2", value) end

local IP6 = "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\7"

describe("the PROXY protocol", function()
  it("version 1 says who the client is", function()
    for line, remote in pairs {
      ["TCP4 1.2.3.4 127.0.0.1 40312 80"] = "1.2.3.4:40312", ["TCP4 255.255.255.255 0.0.0.0 65535 0"] = "255.255.255.255:65535",
      ["TCP6 2001:db8::7 ::1 1 80"] = "[2001:db8::7]:1", ["TCP6 2001:0db8:0000:0000:0000:0000:0000:0007 ::1 1 80"] = "[2001:db8::7]:1",
      ["UNKNOWN"] = "peer", ["UNKNOWN ffff::1 what ever it says"] = "peer",
    } do
      assert.equal(remote .. " http own.example", told("PROXY " .. line .. "\r\n"), line)
    end
  end)

  it("a line that version 1 does not have closes the connection", function()
    for _, line in ipairs {
      "PROXY\r\n", "PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 1\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 1 2 3\r\n",
      "PROXY TCP4 1.2.3.4 127.0.0.1 1 2 \r\n", "PROXY TCP4  1.2.3.4 127.0.0.1 1 2\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 65536 2\r\n",
      "PROXY TCP4 1.2.3.4 127.0.0.1 -1 2\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 01 2\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 1 x\r\n",
      "PROXY TCP4 1.2.3 127.0.0.1 1 2\r\n", "PROXY TCP4 ::1 127.0.0.1 1 2\r\n", "PROXY TCP6 1.2.3.4 ::1 1 2\r\n", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
      "PROXY TCP4 1.2.3.4\0 127.0.0.1 1 2\r\n", "PROXY TCP5 1.2.3.4 127.0.0.1 1 2\r\n", "PROXY UNKNOWNS\r\n", "PROXY TCP4 a.example 127.0.0.1 1 2\r\n",
      "PROXY TCP4 1.2.3.4 127.0.0.1 1 2\n", "proxy TCP4 1.2.3.4 127.0.0.1 1 2\r\n", "PROXY UNKNOWN " .. ("x"):rep(100) .. "\r\n",
    } do
      assert.is_true(is_refused(line), line)
    end
    assert.equal("peer http own.example", told("PROXY UNKNOWN " .. ("x"):rep(91) .. "\r\n")) -- 107 bytes: the longest line
  end)

  it("version 2 says who the client is, and whether by TLS", function()
    local function ssl(client) return tlv(0x20, string.char(client) .. "\0\0\0\0" .. tlv(0x21, "TLSv1.3")) end
    for header, expected in pairs {
      [tcp4("1.2.3.4", 40312)] = "1.2.3.4:40312 http", [tcp4("1.2.3.4", 1, ssl(1))] = "1.2.3.4:1 https",
      [tcp4("1.2.3.4", 1, ssl(0))] = "1.2.3.4:1 http", [tcp4("1.2.3.4", 1, tlv(0x04, ("\0"):rep(9)) .. ssl(7))] = "1.2.3.4:1 https",
      [tcp4("1.2.3.4", 1, tlv(0xee, ("x"):rep(65000)))] = "1.2.3.4:1 http",
      [v2(1, 0x21, IP6 .. ("\0"):rep(16) .. string.pack(">I2I2", 77, 80))] = "[2001:db8::7]:77 http",
      [v2(1, 0x31, ("\0"):rep(216))] = "unix http", [v2(1, 0x00, "")] = "peer http", [v2(1, 0x00, "what ever")] = "peer http",
      [v2(0, 0x00, "")] = "peer http", [v2(0, 0x11, "short")] = "peer http", [v2(0, 0x11, ip4 "1.2.3.4" .. ("\0"):rep(8))] = "peer http",
    } do
      assert.equal(expected .. " own.example", told(header))
    end
  end)

  it("bytes that version 2 does not have close the connection", function()
    for _, header in ipairs {
      v2(1, 0x11, ""), v2(1, 0x11, ("\0"):rep(11)), v2(1, 0x21, ("\0"):rep(35)), v2(1, 0x31, ("\0"):rep(215)), v2(1, 0x41, ("\0"):rep(216)),
      v2(2, 0x11, ("\0"):rep(12)), v2(1, 0x12, ("\0"):rep(12)), v2(1, 0x13, ("\0"):rep(12)), tcp4("1.2.3.4", 1, "\x04"),
      tcp4("1.2.3.4", 1, "\x04\0\2x"), tcp4("1.2.3.4", 1, tlv(0x20, "\1\0\0\0")), tcp4("1.2.3.4", 1, tlv(4, "") .. "\0\0"),
      SIGNATURE .. "\x11\x11\0\12" .. ("\0"):rep(12), SIGNATURE .. "\x31\x11\0\12" .. ("\0"):rep(12), "\r\n\r\n\0\r\nQUIX\n",
    } do
      assert.is_true(is_refused(header), header)
    end
  end)

  it("a trusted proxy that sends none is closed, and the log says so", function()
    assert.is_true(is_refused "")
    local out, err = raw.script [[
      raw.serve(function() return "x" end, { trusted_proxies = { "127.0.0.1" }, proxy_protocol = true }, function(address)
        local client <close> = raw.connect(address)
        client:send(raw.GET)
        print(client:rest() == "")
      end)
    ]]
    assert.equal("true\n", out)
    assert.matches("does not begin with a header of the PROXY protocol", err)
  end)

  it("whoever is not trusted can say nothing by it, and needs none", function()
    with({ trusted_proxies = { "10.0.0.0/8" }, proxy_protocol = true }, function(address)
      assert.equal("peer http own.example", raw.ask(address, GET, "\r\n").body)
      assert.equal(400, raw.ask(address, "PROXY TCP4 1.2.3.4 127.0.0.1 1 2\r\n", GET, "\r\n").status)
      assert.equal(400, raw.ask(address, tcp4("1.2.3.4", 1), GET, "\r\n").status)
    end)
    with({ trusted_proxies = { "127.0.0.1" }, proxy_protocol = false }, function(address)
      assert.equal(400, raw.ask(address, "PROXY TCP4 1.2.3.4 127.0.0.1 1 2\r\n", GET, "\r\n").status)
    end)
  end)

  it("headers of a trusted client are believed, and of another not", function()
    local forwarded = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: front.example\r\n"
    assert.equal("6.6.6.6:0 https front.example", told(tcp4("10.1.2.3", 1), forwarded))
    assert.equal("1.2.3.4:1 http own.example", told(tcp4("1.2.3.4", 1), forwarded))
    assert.equal("6.6.6.6:0 https front.example", told(v2(0, 0, ""), forwarded))
  end)

  it("all requests of a connection are the client's, however its bytes come", function()
    with(HERE, function(address)
      for _, header in ipairs { "PROXY TCP4 1.2.3.4 127.0.0.1 5 80\r\n", tcp4("1.2.3.4", 5, tlv(0xee, ("x"):rep(300))) } do
        local client <close> = raw.connect(address)
        for byte in (header .. GET .. "\r\n"):gmatch "." do
          client:send(byte)
          task.sleep(0)
        end
        assert.equal("1.2.3.4:5 http own.example", client:answer().body)
        client:send(GET, "\r\n", GET, "\r\n")
        assert.equal("1.2.3.4:5 http own.example", client:answer().body)
        assert.equal("1.2.3.4:5 http own.example", client:answer().body)
        client:send(header, GET, "\r\n") -- it comes once
        assert.equal(400, client:answer().status)
      end
    end)
  end)

  it("TLS begins behind it", function()
    local certs <close> = certificates()
    with({ tls = certs.site, trusted_proxies = HERE.trusted_proxies, proxy_protocol = true }, function(address)
      -- the header alone; and with the beginning of the handshake behind it
      for _, header in ipairs { "PROXY TCP4 1.2.3.4 127.0.0.1 5 443\r\n", tcp4("1.2.3.4", 5) } do
        local client <close> = raw.connect(address)
        client:send(header)
        client.socket:start_tls { ca = certs.ca, server_name = "127.0.0.1" }
        client:send(GET, "\r\n")
        assert.equal("1.2.3.4:5 https own.example", client:answer().body)
      end
      local client <close> = raw.connect(address)
      client:send(tcp4("1.2.3.4", 5), GET, "\r\n")
      assert.matches("^HTTP/1.0 400 Bad Request\r\n", client:rest())
    end)
  end)

  it("has the time that the head has", function()
    for _, sent in ipairs { "", "PROXY TCP4 1.2", SIGNATURE, tcp4("1.2.3.4", 1):sub(1, -2) } do
      with({ trusted_proxies = HERE.trusted_proxies, proxy_protocol = true, header_timeout = 0.05 }, function(address)
        local client <close> = raw.connect(address)
        if sent ~= "" then client:send(sent) end
        assert.equal("", client:rest())
      end)
    end
  end)

  it("a connection that has said half of it ends with its client, and with the server", function()
    with(HERE, function(address, server)
      local leaves = raw.connect(address)
      leaves:send "PROXY TCP4"
      raw.eventually(function() return server:connections() == 1 end)
      leaves:close()
      raw.eventually(function() return server:connections() == 0 end)
      local stays <close> = raw.connect(address)
      stays:send "PROXY TCP4"
      raw.eventually(function() return server:connections() == 1 end)
      server:abort()
      assert.equal("", stays:rest())
    end)
  end)

  it("needs trusted proxies, and true or false", function()
    for why, options in pairs {
      ["option 'proxy_protocol' means nothing without 'trusted_proxies'"] = { proxy_protocol = true },
      ["option 'proxy_protocol' must be true or false"] = { proxy_protocol = 2, trusted_proxies = { "::1" } },
      ["unknown server option 'proxy_protocl'; did you mean 'proxy_protocol'?"] = { proxy_protocl = true },
    } do
      for _, check in ipairs { native.check_options, function(o) native.listen("127.0.0.1:0", tell, o) end } do
        local ok, err = pcall(check, options)
        assert.is_false(ok)
        assert.is_truthy(tostring(err):find(why, 1, true), tostring(err))
      end
    end
    native.check_options { proxy_protocol = true, trusted_proxies = {} }
  end)
end)
