-- SPDX-License-Identifier: MIT
-- The transport of the client: connections and who gets them, proxies, TLS identities, bodies out and in, time.
local backlog = require "net.backlog"
local certificates = require "net.certificates"
local fs = require "green.fs"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local semaphore = require "green.semaphore"
local task = require "green.task"
local transport = require "green.http.transport"

local failure = outcome.failure
local WAIT = 20 -- seconds, where something is bound to come
local BACKLOG = 1024 -- of host/net/listener.c

local function port_of(address) return tonumber(address:match ":(%d+)$") end

local function spec(port, options)
  local all = { method = "GET", scheme = "http", host = "127.0.0.1", port = port, target = "/", collect = 1 << 24, timeouts = { total = WAIT } }
  all.url = ("http://127.0.0.1:%d/"):format(port)
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

-- Runs use(port, server) while a server of ours runs this handler.
local function serving(handler, use)
  local server = native.listen("127.0.0.1:0", handler)
  local ok, e = xpcall(use, debug.traceback, port_of(server:address()), server)
  transport.close_idle()
  server:abort()
  server:finish(WAIT)
  assert(ok, e)
end

-- Runs use(port) while each connection to a listener is served by peer(socket) in a task of its own.
local function listening(peer, use, options)
  local listener = net.listen("127.0.0.1:0", options)
  local peers = {}
  local acceptor = task.spawn(function()
    while true do
      local socket = listener:accept()
      peers[#peers + 1] = task.spawn(function()
        local mine <close> = socket
        pcall(peer, mine)
      end)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, port_of(listener:address()))
  transport.close_idle()
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  for _, one in ipairs(peers) do
    one:cancel()
    pcall(one.join, one)
  end
  listener:close()
  assert(ok, e)
end

-- Reads up to and with the end of a head.
local function read_head(socket, buffer)
  buffer = buffer or ""
  while not buffer:find("\r\n\r\n", 1, true) do
    local bytes = socket:read(65536, WAIT)
    if not bytes then return nil end
    buffer = buffer .. bytes
  end
  local at = select(2, buffer:find("\r\n\r\n", 1, true))
  return buffer:sub(1, at), buffer:sub(at + 1)
end

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local function say_ok(socket)
  while read_head(socket) do socket:write(OK) end
end

describe("connections", function()
  it("are kept, one after the other", function()
    serving(function() return "x" end, function(port)
      assert.is_false(transport.send(spec(port)).reused)
      for _ = 1, 5 do assert.is_true(transport.send(spec(port)).reused) end
      assert.same({ 1, 1 }, { transport.stats().connections, transport.stats().idle })
      transport.close_idle()
      assert.equal(0, transport.stats().connections)
    end)
  end)

  it("are not kept when one side says so", function()
    serving(function() return "x" end, function(port)
      assert.equal("x", transport.send(spec(port, { close = true })).body)
      assert.equal(0, transport.stats().idle)
    end)
  end)

  it("of another host, port or identity are another's", function()
    serving(function() return "x" end, function(port)
      transport.send(spec(port))
      assert.is_false(transport.send(spec(port, { host = "localhost" })).reused)
      assert.is_true(transport.send(spec(port, { host = "localhost" })).reused)
    end)
  end)

  it("are capped, and those beyond wait in line", function()
    local over = semaphore.new(5000)
    for _ = 1, 5000 do over:try() end
    serving(function()
      over:acquire(WAIT)
      return "x"
    end, function(port)
      local tasks, all = {}, 1100
      for i = 1, all do tasks[i] = task.spawn(transport.send, spec(port)) end
      while transport.stats().waiting < all - 1024 do task.sleep(0.001) end
      assert.equal(1024, transport.stats().connections)
      local late = failure(transport.send, spec(port, { timeouts = { queue = 0.02 } }))
      assert.same({ "ETIMEDOUT", "queue", false }, { late.code, late.phase, late.sent })
      for i = all, all - 20, -1 do tasks[i]:cancel() end -- from the end of the line
      for i = all, all - 20, -1 do assert.equal("ECANCELED", failure(tasks[i].join, tasks[i]).code) end
      assert.equal(all - 1024 - 21, transport.stats().waiting)
      for _ = 1, all do over:release() end
      for i = 1, all - 21 do assert.equal("x", tasks[i]:join().body) end
    end)
  end)

  it("lead to unix sockets", function()
    local path = os.tmpname()
    os.remove(path)
    local server = native.listen("unix:" .. path, function(req) return req.headers.host end)
    local got = transport.send(spec(80, { unix = path, host = "inside.test" }))
    assert.same({ "inside.test", "unix:" .. path }, { got.body, got.remote })
    transport.close_idle()
    server:finish(WAIT)
    local e = failure(transport.send, spec(80, { unix = path .. ".none", host = "inside.test" }))
    assert.same({ "ENOENT", "connect" }, { e.code, e.phase })
  end)

  it("do not lead into private networks when told so", function()
    for _, host in ipairs { "127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "localhost" } do
      local e = failure(transport.send, spec(9, { host = host, deny_private = true }))
      assert.same({ "EACCES", "not a public one" }, { e.code, e.message:match "not a public one" }, host)
    end
  end)
end)

describe("what is sent", function()
  local function echo(use)
    serving(function(req) return ("%s %s %s|%s"):format(req.method, req.headers["content-length"] or "-", req.headers["transfer-encoding"] or "-", req:body() or "") end, use)
  end

  it("says where its body ends", function()
    echo(function(port)
      assert.equal("GET - -|", transport.send(spec(port)).body)
      assert.equal("POST 0 -|", transport.send(spec(port, { method = "POST" })).body)
      assert.equal("DELETE - -|", transport.send(spec(port, { method = "DELETE" })).body)
      assert.equal("PUT 3 -|abc", transport.send(spec(port, { method = "PUT", body = "abc" })).body)
      assert.equal("POST 0 -|", transport.send(spec(port, { method = "POST", body = "" })).body)
    end)
  end)

  local function pieces(list)
    local i = 0
    return function()
      i = i + 1
      return list[i]
    end
  end

  it("may come in pieces, of known length or not", function()
    echo(function(port)
      local list = { "a", "", "bc", ("d"):rep(300000), "e" }
      local all = table.concat(list)
      assert.equal("POST - chunked|" .. all, transport.send(spec(port, { method = "POST", body = pieces(list) })).body)
      assert.equal(("POST %d -|%s"):format(#all, all), transport.send(spec(port, { method = "POST", body = pieces(list), length = #all })).body)
      assert.equal("POST - chunked|", transport.send(spec(port, { method = "POST", body = pieces {} })).body)
      assert.is_false(pcall(transport.send, spec(port, { method = "POST", body = pieces { "abc" }, length = 2 })))
      assert.is_false(pcall(transport.send, spec(port, { method = "POST", body = pieces { "abc" }, length = 4 })))
      assert.equal("mine", failure(transport.send, spec(port, { method = "POST", body = function() error("mine", 0) end })))
      assert.equal("GET - -|", transport.send(spec(port)).body)
    end)
  end)

  it("may have trailers", function()
    listening(function(socket)
      local head, rest = read_head(socket)
      while not rest:find "\r\n\r\n$" do rest = rest .. socket:read(65536, WAIT) end
      assert(head)
      socket:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#rest, rest))
    end, function(port)
      local got = transport.send(spec(port, { method = "POST", body = pieces { "ab" }, trailers = { "X-Sum", "1" } }))
      assert.equal("2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n", got.body)
    end)
  end)

  it("waits for a server that does not take it", function()
    local given, going = 0, semaphore.new(1)
    going:try()
    serving(function(req)
      going:acquire(WAIT)
      return tostring(#req:body())
    end, function(port)
      local one = task.spawn(transport.send, spec(port, { method = "POST", body = function()
        given = given + 1
        return given <= 500 and ("x"):rep(65536) or nil
      end }))
      local before
      repeat
        before = given
        task.sleep(0.05)
      until given > 0 and given == before
      assert.is_true(given < 200, given)
      going:release()
      pcall(one.join, one) -- 32 MB may be more than the server takes
    end)
  end)

  it("holds no framing of the caller's, nor headers without end", function()
    local many = {}
    for i = 1, 1025 do many[2 * i - 1], many[2 * i] = "X", "y" end
    for _, name in ipairs { "Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization", "Proxy-Connection" } do
      local e = failure(transport.send, spec(9, { headers = { name, "1" } }))
      assert.equal("EINVAL", e.code)
      assert.is_truthy(e.message:find(name, 1, true))
    end
    for _, headers in ipairs { { "X", "a\r\nY: b" }, { "X", "a\0" }, { "X\r\nY", "1" }, { "", "1" }, { "X:", "1" }, { "Host", "a", "host", "b" } } do
      assert.equal("EINVAL", failure(transport.send, spec(9, { headers = headers })).code)
    end
    for _, headers in ipairs { { "X", ("x"):rep(49 * 1024) }, many } do
      assert.equal("EMSGSIZE", failure(transport.send, spec(9, { headers = headers })).code)
    end
    for _, target in ipairs { "", "x", "/a b", "/a\r\n", "/ü", "/#a" } do
      assert.equal("EINVAL", failure(transport.send, spec(9, { target = target })).code, target)
    end
  end)

  it("waits for 100 Continue when told so, and not for ever", function()
    listening(function(socket)
      while true do
        local head, rest = read_head(socket)
        if not head then return end
        assert(head:find "Expect: 100%-continue" and rest == "")
        if head:find "^POST /yes" then socket:write "HTTP/1.1 100 Continue\r\n\r\n" end
        if head:find "^POST /no" then
          socket:write "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
          return
        end
        assert(socket:read(3, WAIT) == "abc")
        socket:write(OK)
      end
    end, function(port)
      for _, target in ipairs { "/yes", "/silent" } do
        assert.equal("ok", transport.send(spec(port, { method = "POST", target = target, body = "abc", expect = true })).body)
      end
      assert.equal(417, transport.send(spec(port, { method = "POST", target = "/no", body = "abc", expect = true })).status)
      assert.equal(0, transport.stats().idle)
    end)
  end)
end)

describe("what comes back", function()
  it("can be read in pieces, and holds the server back", function()
    local written = 0
    listening(function(socket)
      read_head(socket)
      socket:write "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n"
      for _ = 1, 512 do
        socket:write(("z"):rep(65536))
        written = written + 65536
      end
    end, function(port)
      local got, _, reader = transport.send(spec(port, { collect = false }))
      assert.same({ 200, 33554432 }, { got.status, tonumber(got.headers["content-length"]) })
      local before
      repeat
        before = written
        task.sleep(0.05)
      until written == before
      assert.is_true(written < 33554432 / 2, written)
      local total = 0
      for piece in function() return reader:read() end do total = total + #piece end
      assert.equal(33554432, total)
      assert.is_nil(reader:read())
      reader:close()
    end)
  end)

  it("is there as it comes, however little that is", function()
    local asked = semaphore.new(1)
    asked:try()
    listening(function(socket)
      read_head(socket)
      socket:write "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
      for _, piece in ipairs { "abc", "de", "f" } do
        asked:acquire(WAIT)
        socket:write(piece)
      end
      read_head(socket)
    end, function(port)
      local _, _, reader <close> = transport.send(spec(port, { collect = false, timeouts = { total = WAIT } }))
      for _, piece in ipairs { "abc", "de", "f" } do
        local reading = task.spawn(reader.read, reader)
        asked:release()
        assert.equal(piece, reading:join())
      end
      assert.is_nil(reader:read())
      assert.equal(1, transport.stats().idle)
    end)
  end)

  it("may have trailers", function()
    listening(function(socket)
      read_head(socket)
      socket:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\n"
    end, function(port)
      local _, _, reader = transport.send(spec(port, { collect = false }))
      assert.equal("ab", reader:read())
      assert.is_nil(reader:read())
      local headers, repeated = reader:trailers()
      assert.same({ { ["x-sum"] = "7" }, { ["x-sum"] = { "7", "8" } } }, { headers, repeated })
      reader:close()
    end)
  end)

  it("is collected only as it is when others decode", function()
    listening(function(socket)
      while read_head(socket) do socket:write "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx" end
    end, function(port)
      assert.equal("xx", transport.send(spec(port)).body)
      local got, _, reader = transport.send(spec(port, { decode = true }))
      assert.same({ nil, "xx" }, { got.body, reader:read() })
      reader:close()
    end)
  end)

  it("is no more than was asked for", function()
    listening(say_ok, function(port)
      assert.equal("ok", transport.send(spec(port, { collect = 2 })).body)
      assert.equal("EMSGSIZE", failure(transport.send, spec(port, { collect = 1 })).code)
    end)
  end)
end)

describe("time", function()
  it("is limited by phase", function()
    listening(function(socket)
      local head = read_head(socket)
      if head:find "^GET /half" then socket:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe" end
      socket:read(1, WAIT)
    end, function(port)
      local e = failure(transport.send, spec(port, { timeouts = { first_byte = 0.05 } }))
      assert.same({ "ETIMEDOUT", "head", true }, { e.code, e.phase, e.sent })
      assert.matches("timed out waiting for the answer", e.message)
      e = failure(transport.send, spec(port, { target = "/half", timeouts = { idle = 0.05 } }))
      assert.same({ "ETIMEDOUT", "body", true }, { e.code, e.phase, e.sent })
      e = failure(transport.send, spec(port, { target = "/half", timeouts = { total = 0.05 } }))
      assert.equal("ETIMEDOUT", e.code)
    end)
  end)

  it("is limited for the handshake", function()
    listening(function(socket) socket:read(100000, WAIT) socket:read(1, WAIT) end, function(port)
      for _, name in ipairs { "tls", "connecting" } do
        local e = failure(transport.send, spec(port, { scheme = "https", timeouts = { [name] = 0.5 } }))
        assert.same({ "ETIMEDOUT", "tls", false }, { e.code, e.phase, e.sent })
      end
    end)
  end)

  it("passes while connecting, and poisons nothing", function() -- the client's former libcurl left the descriptor's number watched
    local full = net.listen "127.0.0.1:0" -- nobody accepts: once its backlog is full, connecting takes for ever
    local port = port_of(full:address())
    local held = backlog.fill(port, BACKLOG)
    local e
    for _ = 1, 20 do
      e = failure(transport.send, spec(port, { timeouts = { connecting = 0.02 } }))
      assert.same({ "ETIMEDOUT", "connect", false }, { e.code, e.phase, e.sent })
    end
    local given_up = task.spawn(transport.send, spec(port))
    task.sleep(0)
    given_up:cancel()
    pcall(given_up.join, given_up)
    for _, socket in ipairs(held) do socket:close() end
    full:close()
    assert.equal(0, transport.stats().connections)
    serving(function() return "x" end, function(other) assert.equal("x", transport.send(spec(other)).body) end)
  end)

  it("is a task's deadline, too", function()
    listening(function(socket) socket:read(100000, WAIT) socket:read(1, WAIT) end, function(port)
      local e = failure(task.deadline, 0.05, function() transport.send(spec(port)) end)
      assert.equal("EDEADLINE", e.code)
      assert.equal(0, transport.stats().connections)
    end)
  end)
end)

describe("TLS", function()
  local certs

  lazy_setup(function() certs = certificates() end)
  lazy_teardown(function() certs:close() end)

  local function secure(port, tls, options)
    tls.ca = tls.ca or certs.ca
    local all = { scheme = "https", host = "localhost", tls = tls }
    for name, value in pairs(options or {}) do all[name] = value end
    return spec(port, all)
  end

  -- Says what TLS knows of the connection.
  local function tell(socket)
    while read_head(socket) do
      local info = socket:tls()
      local text = ("%s %s %s %s"):format(info.protocol, info.resumed, info.server_name, info.peer and info.peer.subject or "-")
      socket:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
    end
  end

  local function site(options)
    local all = { cert = certs.site.cert, key = certs.site.key }
    for name, value in pairs(options or {}) do all[name] = value end
    return { tls = all }
  end

  it("resumes sessions", function()
    listening(tell, function(port)
      assert.equal("TLSv1.3 false localhost -", transport.send(secure(port, {})).body)
      assert.equal("TLSv1.3 false localhost -", transport.send(secure(port, {})).body) -- the same connection
      transport.close_idle()
      assert.equal("TLSv1.3 true localhost -", transport.send(secure(port, {})).body)
    end, site())
  end)

  it("looks at subjectAltName only", function()
    local dir <close> = fs.temp_dir()
    local key, cert = fs.join(dir.path, "key"), fs.join(dir.path, "cert")
    assert(os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout %s -out %s 2>/dev/null"):format(key, cert)))
    listening(tell, function(port)
      local e = failure(transport.send, secure(port, { ca = cert }))
      assert.same({ "ETLS", "tls", false }, { e.code, e.phase, e.sent })
      assert.is_nil(e.message:find("trust another authority", 1, true)) -- that is not the reason
    end, { tls = { cert = cert, key = key } })
  end)

  it("says how to trust where that is the reason", function()
    listening(tell, function(port)
      assert.matches("trust another authority", failure(transport.send, secure(port, { ca = certs.other_ca })).message)
      assert.equal(200, transport.send(secure(port, { ca = certs.other_ca, verify = false })).status)
      assert.equal("ETLS", failure(transport.send, secure(port, { ca = certs.other_ca })).code) -- also with that connection still open
      assert.equal("ETLS", failure(transport.send, secure(port, { ca = "/nowhere.pem" })).code)
    end, site())
  end)

  it("shows a certificate of its own", function()
    listening(tell, function(port)
      local got = transport.send(secure(port, { cert = certs.client.cert, key = certs.client.key }))
      assert.matches("CN=a client", got.body)
      assert.is_false(pcall(transport.send, secure(port, {})))
    end, site { client_ca = certs.ca })
  end)

  it("shows what the file of its certificate has now", function() -- one that was renewed was not read before the process ended
    local dir <close> = fs.temp_dir()
    local cert, key, ca = fs.join(dir.path, "cert"), fs.join(dir.path, "key"), fs.join(dir.path, "ca")
    local function renew(to) -- as certbot does: a new file takes the old one's place
      for path, from in pairs { [cert] = to.cert, [key] = to.key, [ca] = certs.ca } do
        fs.copy(from, path .. ".new")
        fs.rename(path .. ".new", path)
      end
    end
    listening(tell, function(port)
      local function shown() return transport.send(secure(port, { cert = cert, key = key, ca = ca })).body:match "CN=([^,/+]*)" end
      renew(certs.client)
      assert.equal("a client", shown())
      assert.equal(1, transport.stats().idle)
      assert.equal("a client", shown())
      assert.equal(1, transport.stats().idle) -- the same connection
      renew(certs.b)
      assert.equal("b.test", shown())
      assert.equal(2, transport.stats().idle)
      fs.write(key, "no key, and longer than any other one was: " .. ("x"):rep(4096)) -- in place
      assert.equal("ETLS", failure(shown).code)
      renew(certs.client)
      fs.copy(certs.other_ca, ca)
      assert.equal("ETLS", failure(shown).code)
      fs.remove(ca)
      assert.equal("ETLS", failure(shown).code)
      renew(certs.client)
      assert.equal("a client", shown())
    end, site { client_ca = certs.ca })
  end)

  it("wants a version at least", function()
    listening(tell, function(port)
      assert.matches("^TLSv1.3", transport.send(secure(port, { min_version = "1.3" })).body)
      assert.equal("EINVAL", failure(transport.send, secure(port, { min_version = "1.1" })).code)
    end, site())
  end)

  it("pins public keys", function()
    local pipe = io.popen(("openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64"):format(certs.site.cert))
    local pin = "sha256/" .. pipe:read "l"
    pipe:close()
    listening(tell, function(port)
      local wrong = "sha256/" .. ("A"):rep(43) .. "="
      assert.equal(200, transport.send(secure(port, { pins = { wrong, pin } })).status)
      assert.equal("ETLS", failure(transport.send, secure(port, { pins = { wrong } })).code)
      for _, none in ipairs { { "sha256/x" }, {}, { site = pin } } do -- what was meant to pin does not trust every key
        assert.equal("EINVAL", failure(transport.send, secure(port, { pins = none })).code)
      end
    end, site())
  end)

  describe("and a proxy", function()
    -- Forwards what is asked by CONNECT; answers the rest itself.
    local function proxy(target_port)
      return function(socket)
        local head, rest = read_head(socket)
        if not head:find "^CONNECT" then
          local text = head:match "^[^\r\n]*" .. "|" .. (head:match "Proxy%-Authorization: ([^\r\n]*)" or "-")
          return socket:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
        end
        if not head:find "Proxy%-Authorization: Basic eDp5" then
          return socket:write "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        end
        local there <close> = net.connect("127.0.0.1:" .. target_port)
        socket:write "HTTP/1.1 200 Connection established\r\n\r\n"
        assert(rest == "")
        local back = task.spawn(pcall, function()
          for bytes in function() return there:read(65536, WAIT) end do socket:write(bytes) end
        end)
        for bytes in function() return socket:read(65536, WAIT) end do there:write(bytes) end
        back:cancel()
      end
    end

    it("go through it", function()
      listening(tell, function(port)
        listening(proxy(port), function(proxy_port)
          local through = { host = "127.0.0.1", port = proxy_port, authorization = "Basic eDp5" }
          assert.equal("TLSv1.3 false localhost -", transport.send(secure(port, {}, { proxy = through })).body)
          assert.equal("GET http://127.0.0.1:" .. port .. "/ HTTP/1.1|Basic eDp5", transport.send(spec(port, { proxy = through })).body)
          local e = failure(transport.send, secure(port, {}, { proxy = { host = "127.0.0.1", port = proxy_port } }))
          assert.same({ "EPROXY", "proxy", false }, { e.code, e.phase, e.sent })
          assert.matches("407", e.message)
          e = failure(transport.send, secure(port, {}, { proxy = { host = "127.0.0.1", port = port } }))
          assert.equal("proxy", e.phase)
        end)
      end, site())
    end)
  end)
end)
