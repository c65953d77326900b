-- SPDX-License-Identifier: MIT
-- TLS with real peers: openssl s_server and s_client, node, curl, and ourselves.
-- Needs: node
local certificates = require "net.certificates"
local fs = require "green.fs"
local http = require "green.http"
local leaves_nothing = require "net.descriptors"
local net = require "green.net"
local noise = require "net.noise"
local outcome = require "outcome"
local process = require "green.process"
local sh = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local WAIT = 60 -- seconds, where something is bound to come
local MANY = 100 -- handshakes

local certs

lazy_setup(function() certs = certificates() end)
lazy_teardown(function() certs:close() end)

local function port_of(address) return assert(tonumber(address:match ":(%d+)$")) end

-- What a server needs to be a.test, with changes.
local function site(options)
  local all = { cert = certs.site.cert, key = certs.site.key }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

local function trusting(options)
  local all = { ca = certs.ca }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

-- Calls fn with both ends of a connection, and the listener.
local function connected(fn, server_options, client_options)
  local listener <close> = net.listen("127.0.0.1:0", { tls = site(server_options) })
  local client <close> = net.connect(listener:address(), { tls = trusting(client_options), timeout = WAIT })
  local server <close> = listener:accept(WAIT)
  fn(client, server, listener)
end

local function read_all(socket)
  local pieces = {}
  for bytes in function() return socket:read(65536, WAIT) end do pieces[#pieces + 1] = bytes end
  return table.concat(pieces)
end

local function read_exactly(socket, n)
  local pieces = {}
  while n > 0 do
    pieces[#pieces + 1] = assert(socket:read(n, WAIT))
    n = n - #pieces[#pieces]
  end
  return table.concat(pieces)
end

-- A listener whose connections are answered with what they say, each in a task.
local function echoing(options)
  local listener = net.listen("127.0.0.1:0", { tls = options })
  local serving = task.spawn(function()
    while true do
      local socket = listener:accept(3600)
      task.spawn(pcall, function()
        local socket <close> = socket
        for bytes in function() return socket:read(65536, WAIT) end do socket:write(bytes, WAIT) end
      end)
    end
  end)
  return setmetatable({ address = listener:address(), port = port_of(listener:address()) }, {
    __close = function()
      serving:cancel()
      serving:wait()
      listener:close()
    end,
  })
end

-- What a client says first in a handshake.
local function first_words(options)
  local plain <close> = net.listen "127.0.0.1:0"
  local hello = task.spawn(function()
    local socket <close> = plain:accept(WAIT)
    return socket:read(65536, WAIT)
  end)
  pcall(net.connect, plain:address(), { tls = trusting(options) })
  return hello:join()
end

-- openssl s_server with these words; `port` is where.
local function s_server(...)
  local command = { "openssl", "s_server", "-accept", "127.0.0.1:0" }
  for _, word in ipairs { ... } do command[#command + 1] = word end
  local peer = process.spawn(command, { stdin = "pipe", stdout = "pipe", stderr = "null" })
  local line
  repeat line = assert(peer.stdout:read("l", WAIT), "s_server did not start") until line:match "^ACCEPT"
  return peer, port_of(line)
end

local function s_client(port, ...)
  local command = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", certs.ca }
  for _, word in ipairs { ... } do command[#command + 1] = word end
  return command
end

-- Carries bytes between a client and `to` until `cut` says enough: then it closes both ways without a word.
local function relay(to)
  local listener = net.listen "127.0.0.1:0"
  local here, there
  local serving = task.spawn(function()
    here = listener:accept(WAIT)
    there = net.connect(to)
    local back = task.spawn(pcall, function()
      for bytes in function() return there:read(65536, WAIT) end do here:write(bytes) end
    end)
    pcall(function()
      for bytes in function() return here:read(65536, WAIT) end do there:write(bytes) end
    end)
    back:wait()
  end)
  return setmetatable({
    address = listener:address(),
    cut = function()
      here:close()
      there:close()
    end,
  }, {
    __close = function()
      listener:close()
      if here then here:close() end
      if there then there:close() end
      serving:wait()
    end,
  })
end

describe("a TLS connection", function()
  it("carries bytes both ways", function()
    connected(function(client, server)
      client:write "ping"
      assert.equal("ping", server:read(10, WAIT))
      server:write "pong\0\255"
      assert.equal("pong\0\255", client:read(10, WAIT))
    end)
  end)

  it("ends with nil, again and again, and still writes after it has shut down", function()
    connected(function(client, server)
      client:write "question"
      client:shutdown()
      assert.equal("question", read_all(server))
      assert.is_nil(server:read())
      server:write "answer"
      server:close()
      assert.equal("answer", read_all(client))
      assert.equal("EPIPE", failure(client.write, client, "more").code)
    end)
  end)

  it("carries some MB both ways at once", function()
    connected(function(client, server)
      local large = { noise(8 * 1024 * 1024, 1), noise(8 * 1024 * 1024, 2) }
      local all = {}
      for i, socket in ipairs { client, server } do
        all[#all + 1] = task.spawn(function()
          for at = 1, #large[i], 300001 do socket:write(large[i]:sub(at, at + 300000), WAIT) end
          socket:shutdown()
        end)
        all[#all + 1] = task.spawn(function() assert(read_all(socket) == large[3 - i]) end)
      end
      for _, one in ipairs(all) do one:join() end
    end)
  end)

  it("delivers what was written before close, and a write of many MB at once", function()
    connected(function(client, server)
      local large = noise(16 * 1024 * 1024, 3)
      local reading = task.spawn(read_all, server)
      client:write(large, WAIT)
      client:close()
      assert.is_true(reading:join() == large)
    end)
  end)

  it("delivers what was written before the handshake was over", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local accepting = task.spawn(function()
      local server <close> = listener:accept(WAIT)
      server:write "welcome"
      server:shutdown()
      assert.is_nil(server:read(1, WAIT))
    end)
    local client <close> = net.connect(listener:address(), { tls = trusting() })
    assert.equal("welcome", read_all(client))
    client:close()
    accepting:join()
  end)

  it("ends properly when it was shut down before the handshake was over", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local accepting = task.spawn(function()
      local server <close> = listener:accept(WAIT)
      server:shutdown()
      return read_all(server)
    end)
    local client <close> = net.connect(listener:address(), { tls = trusting() })
    assert.is_nil(client:read(1, WAIT))
    client:write "still read"
    client:shutdown()
    assert.equal("still read", accepting:join())
  end)

  it("makes a writer wait while the other side does not read, and goes on", function()
    connected(function(client, server)
      local large, written = noise(4 * 1024 * 1024, 4), 0
      local writing = task.spawn(function()
        for _ = 1, 8 do
          client:write(large, WAIT)
          written = written + 1
        end
        client:shutdown()
      end)
      repeat
        local before = written
        for _ = 1, 20 do task.sleep(0.001) end
      until written == before
      assert.is_true(written < 8)
      assert.is_true(read_all(server) == large:rep(8))
      writing:join()
    end)
  end)

  it("says what was agreed on", function()
    connected(function(client, server)
      local mine, theirs = client:tls(), server:tls()
      assert.equal("TLSv1.3", mine.protocol)
      assert.equal(mine.cipher, theirs.cipher)
      assert.equal("h2", mine.alpn)
      assert.equal("h2", theirs.alpn)
      assert.equal("a.test", theirs.server_name)
      assert.equal("a.test", mine.server_name)
      assert.is_true(mine.verified)
      assert.equal("O=greenlua,CN=a.test", mine.peer.subject)
      assert.equal("CN=test authority", mine.peer.issuer)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", mine.peer.expires)
      local got = process.capture { "openssl", "x509", "-in", certs.site.cert, "-noout", "-fingerprint", "-sha256" }
      assert.equal(got.stdout:match "=(%S+)":gsub(":", ""):lower(), mine.peer.fingerprint)
      assert.is_nil(theirs.peer)
      assert.is_false(theirs.verified)
    end, { alpn = { "h2", "http/1.1" } }, { alpn = { "http/1.1", "h2" }, server_name = "a.test" })
  end)

  it("is none without TLS", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local client <close> = net.connect(listener:address())
    assert.is_nil(client:tls())
    client:close()
    assert.equal("ECLOSED", failure(client.tls, client).code)
  end)

  it("wakes who reads, writes or waits for the handshake when it is closed", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local _ <close> = net.connect(listener:address())
    local server <close> = listener:accept(WAIT)
    local all = {
      waiting(task.spawn(failure, server.read, server)),
      waiting(task.spawn(failure, server.tls, server)),
      waiting(task.spawn(failure, server.write, server, ("x"):rep(1 << 20))),
    }
    assert.equal("EBUSY", failure(server.tls, server).code)
    assert.equal("EBUSY", failure(server.read, server).code)
    assert.equal("EBUSY", failure(server.write, server, "x").code)
    server:close()
    for _, one in ipairs(all) do assert.equal("ECLOSED", one:join().code) end
  end)

  it("times out in each wait and goes on", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local connecting = task.spawn(net.connect, listener:address(), { tls = trusting() })
    local server <close> = listener:accept(WAIT)
    assert.equal("ETIMEDOUT", failure(server.read, server, 1, 0).code)
    pcall(server.tls, server, 0)
    assert.equal("TLSv1.3", server:tls(WAIT).protocol)
    local client <close> = connecting:join()
    client:write "late"
    assert.equal("late", server:read(10, WAIT))
  end)

  it("is closed by the collector", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local server
    do
      local client = net.connect(listener:address(), { tls = trusting() })
      server = listener:accept(WAIT)
      client:write "x"
    end
    collectgarbage()
    collectgarbage()
    assert.equal("x", read_all(server))
    server:close()
  end)

  it("works over a unix socket, if told whom to expect", function()
    local path = os.tmpname()
    os.remove(path)
    local listener <close> = net.listen { path = path, tls = site() }
    assert.error_matches(function() net.connect { path = path, tls = trusting() } end, "server_name: expected")
    local client <close> = net.connect { path = path, tls = trusting { server_name = "a.test" } }
    local server <close> = listener:accept(WAIT)
    client:write "x"
    assert.equal("x", server:read(1, WAIT))
  end)
end)

describe("a TLS client", function()
  -- What connecting to a server with these options says.
  local function refusal(server_options, client_options, to)
    local listener <close> = net.listen("127.0.0.1:0", { tls = server_options })
    local address = (to or "127.0.0.1") .. ":" .. port_of(listener:address())
    local err = failure(net.connect, address, { tls = client_options })
    assert.equal("net.connect", err.op)
    local start = ("net.connect: %s: "):format(address)
    assert.equal(start, tostring(err):sub(1, #start))
    return tostring(err):sub(#start + 1), err.code
  end

  it("refuses a certificate it cannot trace to an authority", leaves_nothing(function()
    local text, code = refusal(site(), true)
    assert.equal("certificate verify failed: unable to get local issuer certificate (host 127.0.0.1)", text)
    assert.equal("ETLS", code)
    assert.equal("certificate verify failed: self-signed certificate (host 127.0.0.1)", (refusal(certs.alone, {})))
    assert.matches("^certificate verify failed: ", (refusal(site(), { ca = certs.other_ca })))
  end))

  it("refuses a certificate that has expired", leaves_nothing(function()
    assert.equal("certificate verify failed: certificate has expired (host 127.0.0.1)", (refusal(certs.expired, trusting())))
  end))

  it("refuses a certificate of somebody else", leaves_nothing(function()
    assert.equal("certificate verify failed: hostname mismatch (host localhost)", (refusal(certs.b, trusting(), "localhost")))
    assert.equal("certificate verify failed: IP address mismatch (host 127.0.0.1)", (refusal(certs.b, trusting())))
    assert.equal("certificate verify failed: hostname mismatch (host a.b.c.test)",
      (refusal(certs.wild, trusting { server_name = "a.b.c.test" })))
  end))

  it("takes any certificate when it is told so, and says that it was not verified", function()
    local server <close> = echoing(certs.alone)
    local client <close> = net.connect(server.address, { tls = { verify = false } })
    client:write "x"
    assert.equal("x", client:read(1, WAIT))
    assert.is_false(client:tls().verified)
    assert.equal("CN=localhost", client:tls().peer.subject)
  end)

  it("trusts the system's authorities by itself", function()
    local server <close> = echoing(site())
    assert.equal(0, process.capture({ "openssl", "rehash", certs.dir.path }).code)
    for _, where in ipairs { "-u SSL_CERT_DIR SSL_CERT_FILE=" .. certs.ca, "-u SSL_CERT_FILE SSL_CERT_DIR=" .. certs.dir.path } do
      local out, err, code = sh(("env %s $lua trusts.lua %d"):format(where, server.port), {
        ["trusts.lua"] = [[
          local to = { host = "localhost", port = math.tointeger(arg[1]), tls = true }
          for _ = 1, 2 do
            local socket <close> = require("green.net").connect(to)
            print(socket:tls().verified)
            to.tls = { alpn = "any" }
          end
        ]],
      })
      assert.same({ "true\ntrue\n", "", 0 }, { out, err, code })
    end
  end)

  it("verifies names, wildcards and addresses", function()
    local server <close> = echoing { cert = certs.site.cert, key = certs.site.key, sni = { ["*.c.test"] = certs.wild } }
    for _, name in ipairs { "a.test", "A.TEST", "localhost", "127.0.0.1", "x.c.test" } do
      local client <close> = net.connect(server.address, { tls = trusting { server_name = name } })
      assert.is_true(client:tls().verified)
    end
  end)

  it("talks with openssl s_server, over TLS 1.2 and 1.3", function()
    for _, version in ipairs { "1_2", "1_3" } do
      local peer <close>, port = s_server("-cert", certs.site.cert, "-key", certs.site.key, "-tls" .. version, "-rev")
      local client <close> = net.connect { host = "localhost", port = port, tls = trusting() }
      assert.equal("TLSv" .. version:gsub("_", "."), client:tls().protocol)
      client:write "abc\n"
      assert.equal("cba\n", read_exactly(client, 4))
      client:close()
      peer:kill()
    end
  end)

  it("refuses a server that knows TLS 1.1 at most", leaves_nothing(function()
    local peer <close>, port = s_server("-cert", certs.site.cert, "-key", certs.site.key, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    local err = failure(net.connect, "localhost:" .. port, { tls = trusting() })
    assert.equal("ETLS", err.code)
    assert.matches("TLS handshake failed: ", tostring(err), 1, true)
    peer:kill()
  end))

  it("gives up on who does not speak TLS", leaves_nothing(function()
    local listener <close> = net.listen "127.0.0.1:0"
    for _, words in ipairs { "HTTP/1.1 400 Bad Request\r\n\r\n", ("\0"):rep(100), "\22\3\1" .. ("\255"):rep(200), "220 mail.test ESMTP\r\n" } do
      local answering = task.spawn(function()
        local server <close> = listener:accept(WAIT)
        server:write(words)
        pcall(read_all, server)
      end)
      local err = failure(net.connect, listener:address(), { tls = trusting(), timeout = WAIT })
      assert.equal("ETLS", err.code)
      assert.matches("TLS handshake failed: ", tostring(err), 1, true)
      answering:join()
    end
  end))

  it("gives up on who leaves during the handshake", leaves_nothing(function()
    local listener <close> = net.listen "127.0.0.1:0"
    local leaving = task.spawn(function()
      local server <close> = listener:accept(WAIT)
      server:read(1, WAIT)
      server:shutdown()
      pcall(read_all, server)
    end)
    local err = failure(net.connect, listener:address(), { tls = trusting() })
    assert.equal(("net.connect: %s: TLS handshake failed: the other side closed the connection"):format(listener:address()), tostring(err))
    leaving:join()
  end))

  it("times out in the handshake, is cancelled in it, and leaves no connection", leaves_nothing(function()
    local listener <close> = net.listen "127.0.0.1:0"
    assert.equal("ETIMEDOUT", failure(net.connect, listener:address(), { tls = trusting(), timeout = 0.5 }).code)
    local server <close> = listener:accept(WAIT)
    pcall(read_all, server)
    local err = failure(net.connect, listener:address(), { tls = trusting { timeout = 0.02 } })
    assert.equal(("net.connect: %s: the TLS handshake took too long"):format(listener:address()), tostring(err))
    assert.equal("ETIMEDOUT", err.code)
    listener:accept(WAIT):close()
    local connecting = task.spawn(net.connect, listener:address(), { tls = trusting() })
    local second <close> = listener:accept(WAIT)
    second:read(1, WAIT) -- it is in the handshake
    connecting:cancel()
    assert.equal("ECANCELED", failure(connecting.join, connecting).code)
    pcall(read_all, second)
  end))

  it("refuses options it does not know, and files it cannot read", leaves_nothing(function()
    local function wrong(tls) return select(2, pcall(net.connect, "127.0.0.1:1", { tls = tls })) end
    assert.matches("unknown option 'verfiy'", tostring(wrong { verfiy = false }), 1, true)
    assert.matches("unknown option 'sni'", tostring(wrong { sni = {} }), 1, true)
    assert.matches("unknown option 'server'", tostring(wrong { server = true }), 1, true)
    assert.matches("verify: boolean expected", tostring(wrong { verify = "no" }), 1, true)
    assert.matches("alpn: names of 1 to 255 bytes expected", tostring(wrong { alpn = { "" } }), 1, true)
    assert.matches("key: without a cert", tostring(wrong { key = certs.site.key }), 1, true)
    assert.equal("net.connect: tls: ca: /nowhere.pem: No such file or directory", tostring(wrong { ca = "/nowhere.pem" }))
    assert.matches("net.connect: tls: ca: ", tostring(wrong { ca = certs.site.key }), 1, true)
    assert.matches("net.connect: tls: key: .*: key values mismatch$", tostring(wrong { cert = certs.site.cert, key = certs.b.key }))
    assert.matches("net.connect: tls: cert: no start line$", tostring(wrong { cert = "-----BEGIN nothing" }))
    assert.matches("table expected, got string", tostring(wrong "yes"), 1, true)
  end))

  it("takes PEM texts in the place of paths", function()
    local server <close> = echoing { cert = fs.read(certs.site.cert) .. fs.read(certs.site.key) }
    local client <close> = net.connect(server.address, { tls = { ca = fs.read(certs.ca) } })
    assert.is_true(client:tls().verified)
  end)
end)

describe("a TLS server", function()
  it("chooses the certificate by the name that is asked for", function()
    local server <close> = echoing(site { sni = { ["b.test"] = certs.b, ["*.c.test"] = certs.wild } })
    local function subject(name)
      local client <close> = net.connect(server.address, { tls = { verify = false, server_name = name } })
      return client:tls().peer.subject:match "CN=([%w.]+)"
    end
    assert.equal("b.test", subject "b.test")
    assert.equal("b.test", subject "B.test")
    assert.equal("wild", subject "x.c.test")
    assert.equal("a.test", subject "c.test")
    assert.equal("a.test", subject "x.y.c.test")
    assert.equal("a.test", subject "elsewhere.test")
    assert.equal("a.test", subject "127.0.0.1")
    local got = process.capture(s_client(server.port, "-servername", "b.test", "-verify_hostname", "b.test", "-verify_return_error", "-brief"))
    assert.equal(0, got.code, got.stderr)
  end)

  it("without a certificate of its own refuses names it does not know", function()
    local server <close> = echoing { sni = { ["b.test"] = certs.b } }
    local client <close> = net.connect(server.address, { tls = trusting { server_name = "b.test" } })
    assert.is_true(client:tls().verified)
    local err = failure(net.connect, server.address, { tls = trusting { server_name = "a.test" } })
    assert.matches("unrecognized name", tostring(err), 1, true)
  end)

  it("chooses the first protocol it shares with the client, and refuses when there is none", function()
    local server <close> = echoing(site { alpn = { "h2", "http/1.1" } })
    local function chosen(alpn)
      local client <close> = net.connect(server.address, { tls = trusting { alpn = alpn } })
      return client:tls().alpn
    end
    assert.equal("h2", chosen { "http/1.1", "h2" })
    assert.equal("http/1.1", chosen "http/1.1")
    assert.is_nil(chosen(nil))
    assert.matches("no application protocol", tostring(failure(net.connect, server.address, { tls = trusting { alpn = "other" } })), 1, true)
  end)

  it("answers curl and openssl s_client, also with TLS 1.2", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local answering = task.spawn(function()
      for _ = 1, 2 do
        local socket <close> = listener:accept(WAIT)
        assert.matches("^GET / ", socket:read(65536, WAIT))
        socket:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
      end
    end)
    local url = "https://localhost:" .. port_of(listener:address()) .. "/"
    for _, version in ipairs { "1.2", "1.3" } do
      local got = process.capture { "curl", "-sS", "--cacert", certs.ca, "--tlsv" .. version, "--tls-max", version, url }
      assert.equal("hello", got.stdout, got.stderr)
    end
    answering:join()
    local server <close> = echoing(site())
    local peer <close> = process.spawn(s_client(server.port, "-quiet", "-tls1_2"), { stdin = "pipe", stdout = "pipe", stderr = "null" })
    peer.stdin:write "over 1.2\n"
    assert.equal("over 1.2", peer.stdout:read("l", WAIT))
  end)

  it("goes on through key updates, asked for and not", function()
    local server <close> = echoing(site())
    local peer <close> = process.spawn(s_client(server.port, "-brief"), { stdin = "pipe", stdout = "pipe", stderr = "stdout" })
    for round = 1, 3 do
      for _, command in ipairs { "K\n", "k\n" } do
        peer.stdin:write(command)
        repeat until peer.stdout:read("l", WAIT) == "KEYUPDATE"
        local line = ("round %d"):format(round)
        peer.stdin:write(line .. "\n")
        assert.equal(line, peer.stdout:read("l", WAIT))
      end
    end
  end)

  it("asks for certificates of clients", function()
    local server <close> = echoing(site { client_ca = certs.ca })
    local client <close> = net.connect(server.address, { tls = trusting { cert = certs.client.cert, key = certs.client.key } })
    client:write "x"
    assert.equal("x", client:read(1, WAIT))
    for _, options in ipairs { {}, { cert = certs.stranger.cert, key = certs.stranger.key } } do
      local ok, err = pcall(function()
        local refused <close> = net.connect(server.address, { tls = trusting(options) })
        return refused:read(1, WAIT) -- in TLS 1.3 the client is through before the server has looked
      end)
      assert.is_false(ok)
      assert.equal("ETLS", err.code)
    end
  end)

  it("knows who a client is, and may do without", function()
    connected(function(client, server)
      assert.equal("O=greenlua,CN=a client", server:tls(WAIT).peer.subject)
      assert.is_true(server:tls().verified)
      assert.is_nil(client:tls().server_name)
    end, { client_ca = certs.ca, verify_client = "optional" }, { cert = certs.client.cert, key = certs.client.key })
    connected(function(_, server)
      assert.is_nil(server:tls(WAIT).peer)
      assert.is_false(server:tls().verified)
    end, { client_ca = certs.ca, verify_client = "optional" })
    connected(function(_, server)
      assert.matches("^net.tls: 127.0.0.1:%d+: certificate verify failed: ", tostring(failure(server.tls, server, WAIT)))
    end, { client_ca = certs.ca, verify_client = "optional" }, { cert = certs.stranger.cert, key = certs.stranger.key })
  end)

  it("tells the task of a connection what was wrong with it, and serves the others", leaves_nothing(function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    for _, words in ipairs { "GET / HTTP/1.1\r\n\r\n", ("\0"):rep(500), "\22\3\1\2\0\1" .. ("x"):rep(600), "\128\128\1\3\1" } do
      local plain <close> = net.connect(listener:address())
      plain:write(words)
      plain:shutdown()
      local server <close> = listener:accept(WAIT)
      local err = failure(server.read, server, 1, WAIT)
      assert.equal("ETLS", err.code)
      assert.matches("^net.read: 127.0.0.1:%d+: TLS handshake failed: ", tostring(err))
      assert.equal("ETLS", failure(server.tls, server).code)
      assert.equal("ETLS", failure(server.write, server, "x").code)
      pcall(read_all, plain) -- ends, though `server` is open
    end
    local client <close> = net.connect(listener:address(), { tls = trusting() })
    assert.is_true(client:tls().verified)
  end))

  -- 200 clients came at once, and all others waited until each of their handshakes had made its step: 57 ms of computing.
  it("lets others run between the handshakes of many clients", leaves_nothing(function()
    local hello = first_words()
    local dir <close> = fs.temp_dir()
    local slow = fs.join(dir.path, "rsa") -- a key with which even a fast machine signs few times in a turn
    local made = process.capture { "openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", "/CN=slow", "-keyout", slow .. ".key", "-out", slow .. ".pem" }
    assert.equal(0, made.code, made.stderr)
    local listener <close> = net.listen("127.0.0.1:0", { tls = { cert = slow .. ".pem", key = slow .. ".key" } })
    local clients, turn, answered = {}, 0, {}
    for i = 1, MANY do clients[i] = net.connect(listener:address()) end
    local accepted = {}
    for i = 1, MANY do accepted[i] = listener:accept(WAIT) end
    local ticker = task.spawn(function()
      while true do
        turn = turn + 1
        task.sleep(0)
      end
    end)
    local readers = {}
    for i = 1, MANY do
      readers[i] = waiting(task.spawn(function()
        assert(clients[i]:read(1, WAIT))
        answered[turn] = (answered[turn] or 0) + 1
      end))
    end
    for i = 1, MANY do clients[i]:write(hello) end
    for i = 1, MANY do readers[i]:join() end
    ticker:cancel()
    ticker:wait()
    local most = 0
    for _, n in pairs(answered) do most = math.max(most, n) end
    assert.is_true(most <= MANY / 2, most)
    for i = 1, MANY do
      clients[i]:close()
      accepted[i]:close()
    end
  end))

  it("puts together what arrives in pieces while a handshake waits for its turn", leaves_nothing(function()
    local hello = first_words()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local clients, accepted = {}, {}
    for i = 1, MANY do
      clients[i] = net.connect(listener:address())
      accepted[i] = listener:accept(WAIT)
    end
    local late = MANY - MANY // 4
    for i = 1, late do clients[i]:write(hello) end
    for at = 1, #hello, 100 do
      for i = late + 1, MANY do clients[i]:write(hello:sub(at, at + 99)) end
      task.sleep(0)
    end
    for i = 1, MANY do
      assert(clients[i]:read(1, WAIT))
      clients[i]:close()
      accepted[i]:close()
    end
  end))

  it("forgets handshakes whose clients, or whose sockets, are gone before their turn", leaves_nothing(function()
    local hello = first_words()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local clients, accepted = {}, {}
    for i = 1, MANY do
      clients[i] = net.connect(listener:address())
      accepted[i] = listener:accept(WAIT)
    end
    local readers = {}
    for i = 1, MANY, 3 do readers[#readers + 1] = waiting(task.spawn(failure, accepted[i].read, accepted[i], 1, WAIT)) end
    for i = 1, MANY do clients[i]:write(hello) end
    for i = 2, MANY, 3 do clients[i]:close() end
    for i = 1, MANY, 3 do clients[i]:shutdown() end
    assert(clients[1]:read(1, WAIT)) -- the first steps are over, and others wait for their turn
    for i = 3, MANY, 3 do accepted[i]:close() end
    for _, one in ipairs(readers) do
      assert.matches("TLS handshake failed: the other side closed the connection", tostring(one:join()), 1, true) -- behind what it said before
    end
    for i = 1, MANY, 3 do assert.is_true(#read_all(clients[i]) > 200 or i == 1) end
    for i = 1, MANY do
      clients[i]:close()
      accepted[i]:close()
    end
  end))

  it("survives a client's first words with bytes changed, cut and doubled", leaves_nothing(function()
    local hello = first_words { alpn = { "h2", "http/1.1" }, server_name = "a.test" }
    assert.is_true(#hello > 200)
    local listener <close> = net.listen("127.0.0.1:0", { tls = site { alpn = "h2", sni = { ["b.test"] = certs.b } } })
    for i = 1, 300 do
      local at, many = math.random(#hello), math.random(0, 3)
      local words = hello:sub(1, at - 1) .. noise(many, i) .. hello:sub(at + math.random(0, 3))
      if i % 10 == 0 then words = hello:sub(1, at) end
      if i % 10 == 1 then words = hello .. words end
      local client <close> = net.connect(listener:address())
      client:write(words)
      client:shutdown()
      local server <close> = listener:accept(WAIT)
      local err = failure(server.read, server, 1, WAIT)
      assert.equal("ETLS", err.code, tostring(err))
      server:close()
      pcall(read_all, client)
    end
  end))

  it("is not held up by a client that says nothing, and lets it go in the end", leaves_nothing(function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site { timeout = 2 } })
    local silent <close> = net.connect(listener:address())
    local server <close> = listener:accept(WAIT)
    local client <close> = net.connect(listener:address(), { tls = trusting() })
    local other <close> = listener:accept(WAIT)
    client:write "x"
    assert.equal("x", other:read(1, WAIT))
    local err = failure(server.read, server, 1, WAIT)
    assert.equal("ETIMEDOUT", err.code)
    assert.matches("the TLS handshake took too long", tostring(err), 1, true)
    assert.is_nil(silent:read(1, WAIT))
  end))

  it("takes new certificates while it runs", function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local function subject()
      local client <close> = net.connect(listener:address(), { tls = { verify = false } })
      listener:accept(WAIT):close()
      return client:tls().peer.subject
    end
    assert.matches("a.test", subject(), 1, true)
    listener:set_tls(certs.b)
    assert.matches("b.test", subject(), 1, true)
    assert.is_false((pcall(listener.set_tls, listener, { cert = "/nowhere.pem" })))
    assert.matches("b.test", subject(), 1, true)
  end)

  it("refuses to be without a certificate, and what it does not know", leaves_nothing(function()
    local function wrong(tls) return tostring(select(2, pcall(net.listen, "127.0.0.1:0", { tls = tls }))) end
    assert.matches("a server needs a cert", wrong {}, 1, true)
    assert.matches("a table with a cert expected", wrong(true), 1, true)
    assert.matches("unknown option 'ca'", wrong(site { ca = certs.ca }), 1, true)
    assert.matches("client_ca expected, too", wrong(site { verify_client = true }), 1, true)
    assert.matches("sni: each name needs a cert", wrong { sni = { ["a.test"] = {} } }, 1, true)
    assert.matches("tls: sni a.test: cert: /nowhere.pem: ", wrong { sni = { ["a.test"] = { cert = "/nowhere.pem" } } }, 1, true)
    assert.matches("tls: key: .*: ", wrong { cert = certs.site.cert })
  end))
end)

describe("a TLS connection that is cut off", function()
  it("is an error and not the end", leaves_nothing(function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local between <close> = relay(listener:address())
    local client <close> = net.connect(between.address, { tls = trusting() })
    local server <close> = listener:accept(WAIT)
    server:write "half"
    assert.equal("half", client:read(10, WAIT))
    local reading = waiting(task.spawn(failure, client.read, client, 1, WAIT))
    between.cut()
    assert.equal("ETRUNCATED", reading:join().code)
    assert.equal("ETRUNCATED", failure(client.read, client).code)
    local err = failure(server.read, server, 1, WAIT)
    assert.is_truthy(err.code == "ETRUNCATED" or err.code == "ECONNRESET", err.code)
  end))

  it("by a peer that is killed", leaves_nothing(function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local peer <close> = process.spawn(s_client(port_of(listener:address()), "-quiet"), { stdin = "pipe", stdout = "null", stderr = "null" })
    local server <close> = listener:accept(WAIT)
    peer.stdin:write "x"
    assert.equal("x", server:read(1, WAIT))
    peer:kill "KILL"
    local err = failure(server.read, server, 1, WAIT)
    -- EPIPE: session tickets of ours were still on their way
    assert.is_truthy(err.code == "ETRUNCATED" or err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
  end))

  it("in the middle of a record, or with one that was changed", leaves_nothing(function()
    local listener <close> = net.listen("127.0.0.1:0", { tls = site() })
    local outside <close> = net.listen "127.0.0.1:0"
    local connecting = task.spawn(net.connect, outside:address(), { tls = trusting() })
    local here <close> = outside:accept(WAIT)
    local there <close> = net.connect(listener:address())
    local forth = task.spawn(pcall, function()
      for bytes in function() return here:read(65536, WAIT) end do there:write(bytes) end
    end)
    local spoil = false
    local back = task.spawn(pcall, function()
      for bytes in function() return there:read(65536, WAIT) end do
        here:write(spoil and bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1) or bytes)
      end
    end)
    local client <close> = connecting:join()
    local server <close> = listener:accept(WAIT)
    server:write "good"
    assert.equal("good", client:read(10, WAIT))
    spoil = true
    server:write "bad"
    local err = failure(client.read, client, 10, WAIT)
    assert.equal("ETLS", err.code)
    assert.matches("TLS failed: ", tostring(err), 1, true)
    client:close()
    here:close()
    there:close()
    forth:wait()
    back:wait()
  end))
end)

describe("socket:start_tls", function()
  -- Both ends of a plain connection that has agreed on TLS.
  local function agreed(fn)
    local listener <close> = net.listen "127.0.0.1:0"
    local client <close> = net.connect("localhost:" .. port_of(listener:address()))
    local server <close> = listener:accept(WAIT)
    client:write "STARTTLS\n"
    assert.equal("STARTTLS\n", server:read(100, WAIT))
    server:write "go\n"
    assert.equal("go\n", client:read(100, WAIT))
    fn(client, server)
  end

  local function server_side() return site { server = true } end

  it("turns a connection into a TLS connection, and verifies the host connected to", function()
    agreed(function(client, server)
      local other = task.spawn(server.start_tls, server, server_side())
      client:start_tls(trusting())
      other:join()
      assert.equal("localhost", server:tls().server_name)
      assert.is_true(client:tls().verified)
      client:write "secret"
      assert.equal("secret", server:read(10, WAIT))
      assert.equal("EINVAL", failure(client.start_tls, client, trusting()).code)
    end)
  end)

  it("is understood by openssl s_client", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local serving = task.spawn(function()
      local socket <close> = listener:accept(WAIT)
      socket:write "220 mail.test ESMTP\r\n"
      assert.matches("^EHLO", socket:read(1000, WAIT))
      socket:write "250-mail.test\r\n250 STARTTLS\r\n"
      assert.equal("STARTTLS\r\n", socket:read(1000, WAIT))
      socket:write "220 go\r\n"
      socket:start_tls(server_side())
      assert.equal("NOOP\n", socket:read(1000, WAIT))
      socket:write "250 fine\r\n"
    end)
    local peer <close> = process.spawn(s_client(port_of(listener:address()), "-starttls", "smtp", "-quiet"),
      { stdin = "pipe", stdout = "pipe", stderr = "null" })
    peer.stdin:write "NOOP\n"
    repeat until peer.stdout:read("l", WAIT) == "250 fine\r"
    serving:join()
  end)

  it("trusts nothing that came in the clear", leaves_nothing(function()
    agreed(function(client, server)
      server:write "injected"
      repeat task.sleep(0.001) until pcall(client.read, client, 1, 0)
      local err = failure(client.start_tls, client, trusting())
      assert.equal("ETLS", err.code)
      assert.equal("ETLS", failure(client.read, client).code)
    end)
  end))

  it("refuses a certificate as connect does", leaves_nothing(function()
    agreed(function(client, server)
      local other = task.spawn(function() return failure(server.start_tls, server, server_side()) end)
      local err = failure(client.start_tls, client)
      assert.matches("^net.start_tls: localhost:%d+: certificate verify failed: ", tostring(err))
      assert.equal("ETLS", other:join().code)
    end)
  end))

  it("times out, is cancelled, and is closed while it waits", leaves_nothing(function()
    agreed(function(client)
      assert.equal("ETIMEDOUT", failure(client.start_tls, client, trusting { timeout = 0.02 }).code)
      assert.equal("ETIMEDOUT", failure(client.read, client).code)
    end)
    agreed(function(client)
      local starting = waiting(task.spawn(client.start_tls, client, trusting()))
      assert.equal("EINVAL", failure(client.start_tls, client).code)
      starting:cancel()
      assert.equal("ECANCELED", failure(starting.join, starting).code)
      assert.equal("ECANCELED", failure(client.read, client).code)
    end)
    agreed(function(client)
      local starting = waiting(task.spawn(failure, client.start_tls, client, trusting()))
      client:close()
      assert.equal("ECLOSED", starting:join().code)
      assert.equal("ECLOSED", failure(client.start_tls, client).code)
    end)
    agreed(function(client, server)
      local reading = waiting(task.spawn(client.read, client))
      assert.equal("EBUSY", failure(client.start_tls, client, trusting()).code)
      server:write "x"
      assert.equal("x", reading:join())
    end)
  end))
end)

describe("node", function()
  local ECHO = [[
    const fs = require('fs'), tls = require('tls');
    const [cert, key] = process.argv.slice(1);
    const server = tls.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, s => { s.on('error', () => {}); s.pipe(s); });
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  ]]

  it("sends back some MB while we write them", function()
    local peer <close> = process.spawn({ "node", "-e", ECHO, certs.site.cert, certs.site.key }, { stdout = "pipe" })
    local client <close> = net.connect { host = "localhost", port = peer.stdout:read("n", WAIT), tls = trusting() }
    local large = noise(8 * 1024 * 1024, 5)
    local reading = task.spawn(read_all, client)
    client:write(large, WAIT)
    client:shutdown()
    assert.is_true(reading:join() == large)
    peer:kill()
  end)
end)

describe("green.http", function()
  it("is not disturbed by our failures, nor we by its", function()
    local server <close> = echoing(site())
    for _ = 1, 3 do
      assert.equal("ETLS", failure(net.connect, server.address, { tls = true }).code)
      assert.equal("ETLS", failure(http.get, "https://127.0.0.1:" .. server.port .. "/").code)
      local client <close> = net.connect(server.address, { tls = trusting() })
      client:write "x"
      assert.equal("x", client:read(1, WAIT))
    end
  end)
end)
