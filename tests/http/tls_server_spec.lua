-- SPDX-License-Identifier: MIT
-- The HTTP server over TLS, with curl, openssl s_client, our own client and bytes by hand.
local certificates = require "net.certificates"
local frames = require "http.frames"
local fs = require "green.fs"
local http = require "green.http"
local leaves_nothing = require "net.descriptors"
local native = require "green.http.native"
local net = require "green.net"
local new_app = require "green.app".new
local noise = require "net.noise"
local outcome = require "outcome"
local process = require "green.process"
local raw = require "http.raw"
local response = require "green.response"
local sh = require "shell"
local task = require "green.task"

local eventually, failure = outcome.eventually, outcome.failure

local WAIT = 60 -- seconds, where something is bound to come
local ONCE = { keep_alive = false }

local certs

lazy_setup(function() certs = certificates() end)
lazy_teardown(function() certs:close() end)

local function merged(...)
  local all = {}
  for _, options in ipairs { ... } do
    for name, value in pairs(options) do all[name] = value end
  end
  return all
end

local function site(options) return merged(certs.site, options or {}) end

-- fn(address, server) while a server answers with the handler (or dispatch) over TLS.
local function serving(handler, fn, tls, options)
  raw.serve(handler, merged({ tls = site(tls) }, options or {}), fn)
end

local function trusting(address, options) return { address = address, timeout = WAIT, tls = merged({ ca = certs.ca }, options or {}) } end

local function dial(address, options) return raw.connect(trusting(address, options)) end

local function get(address, path, options) return http.get("https://" .. address .. (path or "/"), merged({ ca = certs.ca }, ONCE, options or {})) end

local function curl(address, ...)
  local got = process.capture({ "curl", "-sS", "https://" .. address .. "/", "--cacert", certs.ca, ... }, { timeout = WAIT })
  return got.stdout, got.stderr, got.code
end

-- What openssl s_client says of a connection on which nothing is asked.
local function probe(address, ...)
  local got = process.capture({ "openssl", "s_client", "-connect", address, "-CAfile", certs.ca, ... }, { stdin = "null", timeout = WAIT })
  return got.stdout .. got.stderr
end

local function hello(req) return "hello " .. req.path end

describe("HTTPS", function()
  it("serves curl, our own client and openssl", leaves_nothing(function()
    serving(function(req) return { req.scheme, req.tls.version, req.tls.alpn or "none", req.tls.sni or "none", req.remote:match "^127" } end, function(address)
      assert.equal('["https","TLSv1.3","h2","none","127"]', (curl(address)))
      assert.equal('["https","TLSv1.2","http/1.1","none","127"]', (curl(address, "--tls-max", "1.2", "--http1.1")))
      local port = address:match "%d+$"
      assert.equal('["https","TLSv1.3","http/1.1","localhost","127"]', get("localhost:" .. port).body)
      local plain = http.get("https://" .. address, merged({ ca = certs.ca }, ONCE))
      assert.equal(200, plain.status)
      assert.matches("Verify return code: 0 (ok)", probe(address), 1, true)
    end)
  end))

  it("speaks TLS 1.2 and 1.3, with forward secrecy, and HTTP/2 and 1.1", leaves_nothing(function()
    serving(hello, function(address)
      for version, cipher in pairs { ["-tls1_3"] = "TLS_AES_256_GCM_SHA384", ["-tls1_2"] = "ECDHE-ECDSA-AES256-GCM-SHA384" } do
        assert.matches("Cipher is " .. cipher, probe(address, version), 1, true)
      end
      for _, version in ipairs { "-tls1_1", "-tls1" } do
        local said = probe(address, version, "-cipher", "ALL:@SECLEVEL=0")
        assert.matches("Cipher is (NONE)", said, 1, true)
        assert.matches("alert protocol version", said, 1, true)
      end
      for _, cipher in ipairs { "NULL", "aNULL", "SHA1", "SHA256", "SHA384", "CAMELLIA", "ARIA", "AESCCM", "PSK", "kRSA", "kDHE" } do
        assert.matches("Cipher is (NONE)", probe(address, "-tls1_2", "-cipher", cipher .. ":@SECLEVEL=0"), 1, true, cipher)
      end
      assert.matches("ALPN protocol: h2", probe(address, "-alpn", "http/1.1,h2"), 1, true)
      assert.matches("ALPN protocol: http/1.1", probe(address, "-alpn", "http/1.1,h3"), 1, true)
      assert.matches("No ALPN negotiated", probe(address), 1, true)
      assert.matches("no application protocol", probe(address, "-alpn", "h3"), 1, true)
      assert.equal(200, get(address).status)
    end)
  end))

  it("is for each request what it was agreed on, also afterwards", leaves_nothing(function()
    local kept
    serving(function(req)
      assert(req.tls.cipher == "TLS_AES_256_GCM_SHA384" and req.tls == req.tls and req.tls.client_subject == nil)
      kept = req
      return ""
    end, function(address)
      assert.equal(200, get(address).status)
      assert.same({ "https", "TLSv1.3" }, { kept.scheme, kept.tls.version })
    end)
    raw.serve(function(req) return { req.scheme, tostring(req.tls) } end, nil, function(address)
      assert.equal('["http","nil"]', http.get("http://" .. address, ONCE).body)
    end)
  end))

  it("keeps connections, and answers what was sent ahead in order", leaves_nothing(function()
    serving(hello, function(address, server)
      local client <close> = dial(address)
      for i = 1, 3 do
        client:send(raw.get("/" .. i))
        assert.equal("hello /" .. i, client:answer().body)
      end
      local many = {}
      for i = 1, 200 do many[i] = raw.get("/" .. i) end
      client:send(table.concat(many))
      for i = 1, 200 do assert.equal("hello /" .. i, client:answer().body) end
      assert.equal(1, server:connections())
    end)
  end))

  it("takes a request byte by byte, each a record", leaves_nothing(function()
    serving(raw.echo, function(address)
      local client <close> = dial(address)
      for byte in raw.post("/x", "body"):gmatch "." do client:send(byte) end
      assert.equal("POST /x [body]", client:answer().body)
    end)
  end))

  it("says that an answer is the last with close_notify, and cuts without", leaves_nothing(function()
    local function handler(req)
      if req.path == "/cut" then
        return response.stream(function(out)
          out:write(("x"):rep(1 << 20))
          error { status = 500, message = "it fails" }
        end)
      end
      return "whole"
    end
    serving(handler, function(address)
      local client <close> = dial(address)
      client:send "GET / HTTP/1.0\r\n\r\n"
      assert.matches("whole$", client:rest())
      assert.is_false(client.was_reset) -- the socket raises ETRUNCATED without close_notify
      local cut <close> = net.connect(trusting(address))
      cut:write(raw.get "/cut")
      local err
      repeat
        local ok, bytes = pcall(cut.read, cut, 65536, WAIT)
        err = not ok and bytes
      until not ok or not bytes
      assert.equal("ETRUNCATED", err.code)
    end)
  end))

  it("says goodbye to a client that was idle for too long, and to all when it stops", leaves_nothing(function()
    serving(hello, function(address)
      local client <close> = net.connect(trusting(address))
      client:write(raw.GET)
      assert.matches("hello /", client:read(65536, WAIT), 1, true)
      assert.is_nil(client:read(1, WAIT))
    end, nil, { keepalive_timeout = 0.2 })
    serving(hello, function(address, server)
      local client <close> = net.connect(trusting(address))
      client:write(raw.GET)
      assert.matches("hello /", client:read(65536, WAIT), 1, true)
      server:finish(WAIT)
      assert.is_nil(client:read(1, WAIT))
    end)
  end))

  it("finishes what runs when it stops", leaves_nothing(function()
    local gate = task.channel(0)
    local begun = task.channel(1)
    serving(function()
      begun:send(true)
      gate:receive(WAIT)
      return "finished"
    end, function(address, server)
      local client <close> = dial(address)
      client:send(raw.GET)
      begun:receive(WAIT)
      local stopping = task.spawn(server.finish, server, WAIT)
      gate:send(true)
      local answer = client:answer()
      assert.same({ "finished", "close" }, { answer.body, answer.headers.connection })
      assert.is_false(client:more())
      stopping:join()
    end)
  end))

  it("has bodies of any size, in both directions, and holds them back", leaves_nothing(function()
    local big = noise(3 << 20, 1)
    serving(function(req)
      if req.method == "GET" then
        return response.stream(function(out)
          for at = 1, #big, 65536 do out:write(big:sub(at, at + 65535)) end
        end)
      end
      local n, same = 0, true
      for bytes in req:chunks() do
        same = same and big:sub(n + 1, n + #bytes) == bytes
        n = n + #bytes
      end
      return { n, same }
    end, function(address)
      assert.is_true(get(address).body == big)
      local got = http.post("https://" .. address, merged({ ca = certs.ca, body = big }, ONCE))
      assert.equal(("[%d,true]"):format(#big), got.body)
      local slow <close> = net.connect(trusting(address))
      slow:write(raw.GET)
      local size = 0
      while size < 1 << 20 do
        size = size + #assert(slow:read(4096, WAIT))
        task.sleep(0)
      end
    end)
  end))

  it("sends files, parts of them, and several in turn", leaves_nothing(function()
    local dir <close> = fs.temp_dir()
    local path, bytes = dir.path .. "/it", noise(3 << 20, 1)
    fs.write(path, bytes)
    serving(function() return response.file(path) end, function(address)
      assert.is_true(get(address).body == bytes)
      local client <close> = dial(address)
      client:send(raw.get("/", "Range: bytes=1048576-1048585\r\n"), raw.GET)
      assert.equal(bytes:sub(1048577, 1048586), client:answer().body)
      assert.is_true(client:answer().body == bytes)
      local leaves <close> = net.connect(trusting(address))
      leaves:write(raw.GET)
      assert(leaves:read(1, WAIT))
      leaves:close()
      assert.equal(200, get(address).status)
    end)
  end))

  it("sends events, and notices who has left", leaves_nothing(function()
    local left = task.channel(1)
    serving(function()
      return response.events(function(events)
        local _ <close> = setmetatable({}, { __close = function() left:send(true) end })
        events:send "one"
        while true do
          events:send "more"
          task.sleep(0.01)
        end
      end)
    end, function(address)
      local client <close> = net.connect(trusting(address))
      client:write(raw.GET)
      local text = ""
      while not text:find("data: one\n\n", 1, true) do text = text .. assert(client:read(65536, WAIT)) end
      client:close()
      assert.is_true(left:receive(WAIT))
    end)
  end))

  it("has WebSockets", leaves_nothing(function()
    local app, seen = new_app(), nil
    app:ws("/echo", function(ws, req)
      for text in ws:messages() do ws:send(text:upper()) end
      seen = { req.scheme, req.tls.version, req.remote:match "^127" }
    end)
    local server = app:listen("127.0.0.1:0", { tls = site() })
    local client <close> = frames.connect(trusting(server:address()), { path = "/echo", behind = frames.text "early" })
    assert.equal("EARLY", client:message())
    local long = noise(200000, 4):gsub("[^a-z]", "x")
    client:text(long)
    assert.equal(#long, #client:message())
    client:raw(frames.close(1000, "done"))
    assert.equal(1000, (client:closing()))
    eventually(function() return seen end)
    assert.same({ "https", "TLSv1.3", "127" }, seen)
    server:finish(WAIT)
  end))

  it("knows its own origin among those of WebSockets", leaves_nothing(function()
    local app = new_app()
    app:ws("/echo", function(ws) ws:send "hi" end)
    local server = app:listen("127.0.0.1:0", { tls = site() })
    local function status(origin)
      local client <close>, line = frames.ask(trusting(server:address()), { path = "/echo", headers = { Host = server:address(), Origin = origin } })
      return client and line:match "%d%d%d"
    end
    assert.equal("101", status("https://" .. server:address()))
    assert.equal("403", status "https://elsewhere.test")
    server:abort()
    server:finish(WAIT)
  end))

  it("is in the app's addresses, and goes with the app's other options", leaves_nothing(function()
    local app = new_app { max_body = 10 }
    app:post("/", function(req) return req:body() end)
    local server = app:listen("127.0.0.1:0", { tls = site() })
    assert.equal("https", server:scheme())
    assert.equal("https://" .. server:address() .. "/", app:url())
    assert.equal(413, http.post(app:url(), merged({ ca = certs.ca, body = ("x"):rep(11) }, ONCE)).status)
    server:finish(WAIT)
  end))
end)

describe("a client of HTTPS that", function()
  local function others_are_served(address) assert.equal("hello /", get(address).body) end

  -- Waits until the server has no connection any more.
  local function gone(server) eventually(function() return server:connections() == 0 end, "the end of a connection") end

  it("speaks in the clear is told so", leaves_nothing(function()
    serving(hello, function(address, server)
      local answer = raw.connect(address)
      answer:send(raw.GET)
      assert.matches("^HTTP/1.0 400 Bad Request\r\n.-\r\n\r\nthis address speaks HTTPS, and the request came in the clear\n$", answer:rest())
      answer:close()
      gone(server)
      others_are_served(address)
    end)
  end))

  it("sends garbage, or leaves, is let go", leaves_nothing(function()
    serving(hello, function(address, server)
      for _, bytes in ipairs { "", "\0", "\22", "\22\3\1\2\0\1\0", ("\255"):rep(5000), noise(100000, 2), "\22\3\1\255\255" .. noise(20000, 3) } do
        local client = net.connect(address)
        pcall(client.write, client, bytes)
        pcall(client.shutdown, client)
        pcall(function() while client:read(65536, WAIT) do end end)
        client:close()
      end
      gone(server)
      others_are_served(address)
    end)
  end))

  it("trusts nobody here fails alone", leaves_nothing(function()
    serving(hello, function(address, server)
      for _ = 1, 3 do
        assert.equal("ETLS", failure(http.get, "https://" .. address, { ca = certs.other_ca }).code)
      end
      gone(server)
      others_are_served(address)
    end)
  end))

  it("leaves after its first flight is let go at once", leaves_nothing(function()
    local hellos = {} -- the first flight of a client, as a listener without TLS sees it
    local listener <close> = net.listen "127.0.0.1:0"
    local dialling = task.spawn(pcall, net.connect, trusting(listener:address()))
    local socket = listener:accept(WAIT)
    hellos[1] = assert(socket:read(65536, WAIT))
    socket:close()
    dialling:join()
    serving(hello, function(address, server)
      for n = 1, #hellos[1], 37 do
        local client <close> = net.connect(address)
        client:write(hellos[1]:sub(1, n))
      end
      for _ = 1, 20 do
        local client <close> = net.connect(address)
        client:write(hellos[1])
        assert(client:read(1, WAIT)) -- the server's flight
      end
      gone(server)
      others_are_served(address)
    end)
  end))

  it("stalls in the handshake, or before a request, has the time of a head", leaves_nothing(function()
    serving(hello, function(address, server)
      local silent <close> = net.connect(address)
      local half <close> = net.connect(address)
      half:write "\22\3\1"
      local shaken <close> = net.connect(trusting(address))
      local begun <close> = dial(address)
      begun:send "GET / HT"
      assert.is_nil(silent:read(1, WAIT))
      assert.is_nil(half:read(1, WAIT))
      assert.is_nil(shaken:read(1, WAIT))
      assert.equal(408, begun:answer().status)
      gone(server)
      others_are_served(address)
    end, nil, { header_timeout = 0.3 })
  end))

  it("is in its handshake when the server stops is let go at once", leaves_nothing(function()
    for _, way in ipairs { "finish", "abort" } do
      serving(hello, function(address, server)
        local half <close> = net.connect(address)
        half:write "\22\3\1"
        eventually(function() return server:connections() == 1 end)
        if way == "finish" then server:finish(WAIT, false) else server:abort() end
        local ok, bytes = pcall(half.read, half, 1, WAIT)
        assert.is_true(not bytes or not ok and bytes.code ~= "ETIMEDOUT")
      end)
    end
  end))

  it("is in its handshake when the server stops still has its first request answered", leaves_nothing(function()
    serving(hello, function(address, server)
      local client <close> = net.connect(address)
      eventually(function() return server:connections() == 1 end)
      local stopping = task.spawn(server.finish, server, WAIT)
      task.sleep(0)
      client:start_tls { ca = certs.ca, server_name = "localhost" }
      client:write(raw.GET)
      assert.matches("hello /$", client:read(65536, WAIT))
      assert.is_nil(client:read(1, WAIT))
      stopping:join()
    end)
  end))

  it("comes beyond max_connections waits, and counts while it shakes hands", leaves_nothing(function()
    serving(hello, function(address, server)
      local half <close> = net.connect(address)
      eventually(function() return server:connections() == 1 end)
      local waits = task.spawn(get, address)
      task.sleep(0)
      assert.equal(1, server:connections())
      half:close()
      assert.equal("hello /", waits:join().body)
    end, nil, { max_connections = 1 })
  end))

  it("takes nothing of its handshake is let go", leaves_nothing(function()
    local chain = fs.read(certs.site.cert):rep(400) -- more than a socket holds
    serving(hello, function(address, server)
      local client <close> = net.connect(address)
      local openssl <close> = net.connect(address)
      task.spawn(pcall, openssl.start_tls, openssl, { verify = false })
      client:write "\22\3\1"
      gone(server)
    end, { cert = chain .. fs.read(certs.site.key) }, { header_timeout = 0.3, write_timeout = 0.3 })
  end))
end)

describe("certificates of a server", function()
  -- What listening with these options raises.
  local function wrong(tls) return tostring(failure(native.listen, "127.0.0.1:0", hello, { tls = tls })) end

  it("that cannot be used are refused by file and option", leaves_nothing(function()
    local dir <close> = fs.temp_dir()
    local empty = dir.path .. "/empty.pem"
    fs.write(empty, "")
    local none = dir.path .. "/none.pem"
    assert.matches("cert: " .. none .. ": No such file or directory", wrong { cert = none }, 1, true)
    assert.matches("key: " .. none .. ": No such file or directory", wrong { cert = certs.site.cert, key = none }, 1, true)
    assert.matches("cert: " .. empty .. ": no start line", wrong { cert = empty }, 1, true)
    assert.matches("key: " .. certs.b.key .. ": key values mismatch", wrong { cert = certs.site.cert, key = certs.b.key }, 1, true)
    assert.matches("key: " .. certs.site.cert .. ": ", wrong { cert = certs.site.cert }, 1, true)
    assert.matches("client_ca: " .. none, wrong(site { client_ca = none }), 1, true)
    assert.matches("sni b.test: cert: " .. none, wrong(site { sni = { ["b.test"] = { cert = none } } }), 1, true)
  end))

  it("are refused with options that there are not, or of a wrong type", leaves_nothing(function()
    assert.matches("option 'tls': a server needs a cert", wrong {}, 1, true)
    assert.matches("option 'tls': a table with a cert expected, got boolean", wrong(true), 1, true)
    assert.matches("option 'tls': unknown option 'crt'; did you mean 'cert'?", wrong { crt = "x" }, 1, true)
    for _, name in ipairs { "alpn", "timeout", "ca", "server" } do
      assert.matches("unknown option '" .. name .. "'", wrong(site { [name] = "x" }), 1, true)
    end
    assert.matches("cert: string expected, got number", wrong { cert = 1 }, 1, true)
    assert.matches("option 'tls': key: without a cert", wrong { key = "x" }, 1, true)
    assert.matches("unknown server option 'tls'", tostring(select(2, pcall(new_app, { tls = site() }))), 1, true)
  end))

  it("are taken anew by set_tls, for connections from then on", leaves_nothing(function()
    serving(hello, function(address, server)
      local function name()
        local client <close> = net.connect { address = address, tls = { verify = false } }
        return client:tls().peer.subject:match "CN=(%S-%.test)"
      end
      local old <close> = dial(address)
      old:send(raw.GET)
      assert.equal("hello /", old:answer().body)
      assert.equal("a.test", name())
      server:set_tls(certs.b)
      assert.equal("b.test", name())
      assert.is_false((pcall(server.set_tls, server, { cert = "/nowhere.pem" })))
      assert.equal("b.test", name())
      old:send(raw.GET)
      assert.equal("hello /", old:answer().body)
    end)
    raw.serve(hello, nil, function(_, server)
      assert.equal("EINVAL", failure(server.set_tls, server, site()).code)
    end)
  end))
end)

describe("clients of HTTPS", function()
  local function subject(req) return { req.tls.client_subject or "nobody", req.tls.sni or "none" } end

  it("need a certificate, or may have one", leaves_nothing(function()
    local mine = { tls = { cert = certs.client.cert, key = certs.client.key } }
    serving(subject, function(address)
      assert.equal('["O=greenlua,CN=a client","none"]', get(address, "/", mine).body)
      local said, _, code = curl(address, "--cert", certs.client.cert, "--key", certs.client.key)
      assert.same({ 0, '["O=greenlua,CN=a client","none"]' }, { code, said })
      assert.equal("ETLS", failure(get, address).code)
      assert.equal("ETLS", failure(get, address, "/", { tls = { cert = certs.stranger.cert, key = certs.stranger.key } }).code)
      assert.equal('["O=greenlua,CN=a client","none"]', get(address, "/", mine).body)
    end, { client_ca = certs.ca })
    serving(subject, function(address)
      assert.equal('["nobody","none"]', get(address).body)
      assert.equal('["O=greenlua,CN=a client","none"]', get(address, "/", mine).body)
      assert.equal("ETLS", failure(get, address, "/", { tls = { cert = certs.stranger.cert, key = certs.stranger.key } }).code)
    end, { client_ca = certs.ca, verify_client = "optional" })
  end))

  it("get the certificate of the name they ask for", leaves_nothing(function()
    local function name(address, sni)
      local client <close> = net.connect { address = address, tls = { ca = certs.ca, server_name = sni } }
      return client:tls().peer.subject:match "CN=(.*)$"
    end
    serving(subject, function(address)
      assert.equal("a.test", name(address, "a.test"))
      assert.equal("b.test", name(address, "b.test"))
      assert.equal("wild", name(address, "x.c.test"))
      local port = address:match "%d+$"
      assert.equal('["nobody","b.test"]', (process.capture { "curl", "-sS", "--cacert", certs.ca, "--resolve", "b.test:" .. port .. ":127.0.0.1",
        "https://b.test:" .. port .. "/" }).stdout)
    end, { sni = { ["b.test"] = certs.b, ["*.c.test"] = certs.wild } })
  end))
end)

describe("sessions of HTTPS", function()
  -- Whether openssl s_client resumes a session that it has of an earlier connection, by version.
  local function resumes(address, version, file)
    return probe(address, version, "-sess_in", file):find("\nReused, ", 1, true) ~= nil
  end

  local function with_session(address, version, fn)
    local dir <close> = fs.temp_dir()
    local file = dir.path .. "/session"
    -- in TLS 1.3 the ticket comes after the handshake: with an answer it has come
    local asking = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -connect %s %s -sess_out %s"
    process.capture({ "sh", "-c", asking:format(address, version, file) }, { timeout = WAIT })
    assert.is_true(fs.exists(file))
    fn(file)
  end

  it("are resumed by both versions, also after other connections, and with the client's certificate", leaves_nothing(function()
    serving(hello, function(address)
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        with_session(address, version, function(file)
          for _ = 1, 2 do assert.is_true(resumes(address, version, file), version) end
        end)
      end
    end)
    serving(function(req) return { req.tls.client_subject, req.tls.resumed } end, function(address)
      local api = http.client { ca = certs.ca, tls = { cert = certs.client.cert, key = certs.client.key }, keep_alive = false }
      for i = 1, 3 do assert.equal(('["O=greenlua,CN=a client",%s]'):format(i > 1), api:get("https://" .. address).body) end
    end, { client_ca = certs.ca })
  end))

  it("are not resumed after their time, after set_tls, or when they are switched off", leaves_nothing(function()
    serving(hello, function(address)
      with_session(address, "-tls1_2", function(file)
        assert.is_true(resumes(address, "-tls1_2", file))
        eventually(function() return not resumes(address, "-tls1_2", file) end, "the end of a session")
      end)
    end, { session_timeout = 2 })
    serving(hello, function(address, server)
      with_session(address, "-tls1_3", function(file)
        assert.is_true(resumes(address, "-tls1_3", file))
        server:set_tls(site())
        assert.is_false(resumes(address, "-tls1_3", file))
      end)
    end)
    serving(hello, function(address)
      local said = probe(address, "-tls1_2")
      assert.is_nil(said:find("TLS session ticket:", 1, true))
      assert.matches("Cipher is ECDHE", said, 1, true)
    end, { session_timeout = 0 })
  end))

  it("have keys that change", leaves_nothing(function()
    -- the name of the key, with which the ticket begins
    local function key(address) return assert(probe(address, "-tls1_2"):match "TLS session ticket:%s+0000 %- ([%x -]+)  ") end
    serving(hello, function(address)
      local first = key(address)
      assert.equal(first, key(address))
    end)
    serving(hello, function(address)
      local first = key(address)
      eventually(function() return key(address) ~= first end, "another key")
    end, { session_timeout = 1 })
  end))
end)

describe("greenlua --listen tls://", function()
  it("takes the certificates anew at SIGHUP, and keeps those it has when they do not serve", function()
    local out = sh(([[
      cp %s site.pem; cp %s site.key
      $lua --listen tls://127.0.0.1:0 --cert site.pem --key site.key app.lua 2> log & pid=$!
      while ! grep -q serving log && kill -0 $pid 2>/dev/null; do sleep 0.01; done
      address=$(sed -n 's,.*https://,,p' log)
      name() { openssl s_client -connect $address </dev/null 2>/dev/null | sed -n 's/^subject=//p'; }
      name
      echo bad > site.pem; kill -HUP $pid
      while ! grep -q stay log && kill -0 $pid 2>/dev/null; do sleep 0.01; done
      name
      cp %s site.pem; cp %s site.key; kill -HUP $pid
      while ! grep -q anew log && kill -0 $pid 2>/dev/null; do sleep 0.01; done
      name
      kill $pid; wait $pid; echo $?; sed 's/127.0.0.1:[0-9]*/ADDRESS/' log]]):format(certs.site.cert, certs.site.key, certs.b.cert, certs.b.key),
      { ["app.lua"] = "return function() end" })
    assert.equal("CN = a.test, O = greenlua\nCN = a.test, O = greenlua\nCN = b.test, O = greenlua\n0\n"
      .. "greenlua: serving app.lua on https://ADDRESS\ngreenlua: the certificates stay as they were: tls: cert: site.pem: no start line\n"
      .. "greenlua: took the certificates anew (SIGHUP)\ngreenlua: stopping (SIGTERM)\n", out)
  end)

  it("serves HTTPS beside HTTP, and says so", function()
    local flags = ("--cert %s --key %s"):format(certs.site.cert, certs.site.key)
    local out, err = sh(([[
      $lua --listen tls://127.0.0.1:0 --listen 127.0.0.1:0 %s app.lua 2> log & pid=$!
      while ! [ "$(grep -c serving log)" = 2 ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
      for url in $(sed -n 's/.*serving app.lua on //p' log); do curl -sS --cacert %s $url/; echo; done
      kill $pid; wait $pid; echo $?; sed 's/127.0.0.1:[0-9]*/ADDRESS/' log]]):format(flags, certs.ca),
      { ["app.lua"] = "return function(req) return req.scheme .. (req.tls and req.tls.version or '') end" })
    assert.equal("httpsTLSv1.3\nhttp\n0\ngreenlua: serving app.lua on https://ADDRESS\ngreenlua: serving app.lua on http://ADDRESS\n"
      .. "greenlua: stopping (SIGTERM)\n", out)
    assert.equal("", err)
  end)

  it("serves what is developed", function()
    local out = sh(([[
      $lua --dev --listen tls://127.0.0.1:0 --cert %s --key %s app.lua 2> log & pid=$!
      while ! grep -q serving log && kill -0 $pid 2>/dev/null; do sleep 0.01; done
      url=$(sed -n 's/.*serving app.lua on //p' log)
      curl -sS --cacert %s $url/; echo
      kill $pid; wait $pid]]):format(certs.site.cert, certs.site.key, certs.ca),
      { ["app.lua"] = "local app = require 'green.app'.new() app:get('/', function(req) return app:url() == 'https://' .. req:header 'host' .. '/' and 'yes' or app:url() end) return app" })
    assert.equal("yes\n", out)
  end)

  it("says what is wrong", function()
    local app = { ["app.lua"] = "return function() end", ["none.pem"] = "" }
    local function says(expected, options)
      local out, err, code = sh("$lua " .. options .. " app.lua", app)
      assert.same({ "", "greenlua: " .. expected .. "\n", 1 }, { out, err, code })
    end
    says("cannot listen on tls://127.0.0.1:0: --cert FILE is missing", "--listen tls://127.0.0.1:0")
    says("--cert: no --listen tls://ADDR has a use for it", "--listen 127.0.0.1:0 --cert x.pem")
    says("--key: no --listen tls://ADDR has a use for it", "--key x.pem")
    says("cannot listen on tls://127.0.0.1:0: tls: cert: x.pem: No such file or directory", "--listen tls://127.0.0.1:0 --cert x.pem")
    says("cannot listen on tls://127.0.0.1:0: tls: key: none.pem: unsupported",
      ("--listen tls://127.0.0.1:0 --cert %s --key none.pem"):format(certs.site.cert))
    local _, err = sh("$lua --listen tls:// --cert x.pem app.lua", app)
    assert.matches("greenlua: cannot listen on tls://", err, 1, true)
    _, err = sh("$lua --run --cert x.pem app.lua", app)
    assert.matches("greenlua: --run: nothing is served then, so that --cert has no meaning", err, 1, true)
  end)
end)
