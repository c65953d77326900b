-- SPDX-License-Identifier: MIT
-- The HTTP client through proxies of others: tinyproxy, squid, and nginx, which passes on what is asked in absolute form; and through
-- some of ours that answer CONNECT with what no proxy should.
-- Needs: node peers
local http = require "green.http"
local net = require "green.net"
local outcome = require "outcome"
local peers = require "peers.servers"
local proxies = require "peers.proxies"
local semaphore = require "green.semaphore"
local sh = require "shell"
local task = require "green.task"
local transport = require "green.http.transport"

local failure = outcome.failure

local WAIT = 60 -- seconds; nothing takes that long unless it is broken
local servers, origin, running

-- A header of the request as the origin saw it.
local function seen(resp, name) return resp.body:match("\n" .. name:gsub("%-", "%%-") .. ": ([^\n]*)\n") end

local function port_of(address) return address:match ":(%d+)$" end

-- Runs use(address) while peer(socket) serves each connection to a listener.
local function listening(peer, use)
  local listener <close> = net.listen "127.0.0.1:0"
  task.group(function(group)
    local acceptor = group:spawn(function()
      while true do
        local socket = listener:accept(WAIT)
        group:spawn(function()
          local mine <close> = socket
          pcall(peer, mine)
        end)
      end
    end)
    use(listener:address())
    acceptor:cancel()
    group:cancel()
  end)
end

describe("the client", function()
  setup(function()
    servers = peers.start { node = true }
    origin = servers.node
    running = {}
    for name, start in pairs(proxies.start) do
      if proxies.installed(name) then running[name] = start(9) end
    end
  end)

  teardown(function()
    for _, proxy in pairs(running or {}) do proxy:close() end
    if servers then servers:close() end
  end)

  for _, name in ipairs { "tinyproxy", "squid", "nginx" } do
    local tunnels = name ~= "nginx"

    -- fn(client, proxy): a client that goes through this proxy
    local function through(text, fn)
      it(text, function()
        local proxy = running[name]
        if not proxy then return pending(name .. " is not installed (scripts/setup peers)") end
        fn(function(base, settings)
          local all = { base_url = base, ca = servers.ca, timeout = WAIT, proxy = proxy.url }
          for key, value in pairs(settings or {}) do all[key] = value end
          return http.client(all)
        end, proxy)
      end)
    end

    describe("through " .. name, function()
      through("asks a plain origin in absolute form", function(client)
        local c = client(origin.plain)
        local resp = c:get "/anything/a%20b?x=1"
        assert.matches("^GET /anything/a%%20b%?x=1\n", resp.body)
        assert.matches(name, seen(resp, "via"))
        assert.equal(origin.plain:match "//(.*)", seen(resp, "host"))
        transport.close_idle() -- tinyproxy ends what looks kept, which a POST must not meet (unannounced_end_spec)
        assert.matches("^POST /anything\n", c:post("/anything", { json = { a = 1 } }).body)
        assert.equal("", c:head("/bytes/1000").body)
        local both = name ~= "tinyproxy" and "a=1; b=2" or "a=1" -- tinyproxy passes on only the first of equal names
        assert.equal(both, client(origin.plain, { cookies = true }):get("/cookies/set").body)
        for _, code in ipairs { 204, 304, 404, 503 } do assert.equal(code, c:get("/status/" .. code).status) end
      end)

      through("keeps its connections to the proxy", function(client)
        local c = client(origin.plain)
        c:get "/anything"
        local first = c:get "/anything"
        assert.is_boolean(first.reused)
        if name ~= "tinyproxy" then assert.is_true(first.reused) end -- tinyproxy closes after each answer
        assert.equal(200, c:get("/anything", { keep_alive = false }).status)
      end)

      through("moves large bodies both ways", function(client)
        local all = peers.bytes(1000000)
        for _, base in ipairs { origin.plain, tunnels and origin.secure or nil } do
          local c = client(base)
          assert.equal(201, c:put("/store/p", { body = all }).status)
          assert.is_true(all == c:get("/store/p").body)
          assert.equal(204, c:delete("/store/p").status)
          assert.equal(("squeezed"):rep(1000), c:get("/br").body)
          assert.equal("one two three", c:get("/chunked").body)
          assert.equal(1000, #c:get("/bytes/1000").body)
        end
      end)

      through("asks many things at once", function(client)
        for _, base in ipairs { origin.plain, tunnels and origin.secure or nil } do
          local c, paths = client(base), {}
          for i = 1, 40 do paths[i] = "/anything/" .. i end
          for i, resp in ipairs(task.map(paths, function(path) return c:get(path) end)) do
            assert.equal("GET /anything/" .. i, resp.body:match "^[^\n]*")
          end
        end
      end)

      through("says which proxy cannot be reached, or what it answers for a dead origin", function(client, proxy)
        local dead <close> = net.listen "127.0.0.1:0"
        local gone = "http://" .. dead:address()
        dead:close()
        local status = client(gone):get("/").status
        assert.is_true(status >= 500 and status <= 504, status)
        local e = failure(http.get, proxy.url .. "/", { proxy = gone })
        assert.same({ "ECONNREFUSED", "connect", false }, { e.code, e.phase, e.sent })
        assert.matches("proxy 127.0.0.1:" .. port_of(gone), e.message)
      end)

      if not tunnels then
        through("says that the proxy knows no CONNECT", function(client)
          local c = client(origin.secure)
          local e = failure(c.get, c, "/anything")
          assert.same({ "EPROXY", "proxy", false }, { e.code, e.phase, e.sent })
          assert.matches("the proxy answered 4%d%d", e.message)
        end)
        return
      end

      through("makes a tunnel for TLS", function(client)
        local c = client(origin.secure)
        transport.close_idle()
        local resp = c:get "/anything"
        assert.equal("", seen(resp, "via"))
        assert.is_true(c:get("/anything").reused)
        assert.is_number(resp.timings.tls)
        local e = failure(http.get, origin.secure .. "/anything", { proxy = running[name].url })
        assert.same({ "ETLS", "tls" }, { e.code, e.phase })
        assert.matches("^GET /anything\n", c:get("/redirect-to?url=" .. origin.plain .. "/anything").body)
        assert.matches("^GET /anything\n", client(origin.plain):get("/redirect-to?url=" .. origin.secure .. "/anything").body)
      end)

      through("says who it is to the proxy, and to no one else", function(client, proxy)
        for _, base in ipairs { origin.plain, origin.secure } do
          local resp = client(base, { proxy = proxy.guarded }):get("/anything", { auth = { "me", "too" } })
          assert.equal("", seen(resp, "proxy-authorization"))
          assert.equal("Basic bWU6dG9v", seen(resp, "authorization"))
        end
        for _, who in ipairs { "", "us:wrong@" } do
          local closed = proxy.guarded:gsub("us:pa@", who)
          local refused = client(origin.plain, { proxy = closed }):get "/anything"
          assert.is_true(refused.status == 407 or refused.status == 401, refused.status)
          assert.matches("^Basic", refused.headers["proxy-authenticate"] or refused.headers["www-authenticate"])
          local c = client(origin.secure, { proxy = closed })
          local e = failure(c.get, c, "/anything")
          assert.same({ "EPROXY", "proxy", false }, { e.code, e.phase, e.sent })
          assert.matches("the proxy answered 40[17]", e.message)
        end
        assert.equal(200, client(origin.secure, { proxy = proxy.guarded }):get("/anything").status)
      end)

      through("is not let through everywhere", function(client)
        assert.equal(403, client("http://127.0.0.1:9"):get("/").status)
        local c = client "https://127.0.0.1:9"
        local e = failure(c.get, c, "/")
        assert.same({ "EPROXY", "proxy" }, { e.code, e.phase })
        assert.matches("the proxy answered 403", e.message)
      end)

      through("goes where the environment says", function(_, proxy)
        local script = [[
          local resp = require "green.http".get(arg[1], { ca = arg[2] ~= "" and arg[2] or nil })
          print(resp.status, resp.body:match "\nvia: ([^\n]*)" ~= "")
        ]]
        local plain, secure = origin.plain .. "/anything", origin.secure .. "/anything"
        local function run(env, url)
          local out, said = sh(("unset no_proxy NO_PROXY; %s $lua a.lua %s %s"):format(env, url, servers.ca), { ["a.lua"] = script })
          return out ~= "" and out or said
        end
        assert.equal("200\ttrue\n", run("http_proxy=" .. proxy.url, plain))
        assert.equal("200\ttrue\n", run("all_proxy=" .. proxy.guarded, plain))
        assert.equal("200\tfalse\n", run("HTTPS_PROXY=" .. proxy.guarded, secure)) -- in a tunnel, nobody adds Via
        assert.equal("200\tfalse\n", run("HTTP_PROXY=http://127.0.0.1:1", plain))
        assert.matches("EPROXY", run("https_proxy=" .. proxy.guarded:gsub("us:pa@", ""), secure) .. "EPROXY")
        for _, list in ipairs { "'*'", "127.0.0.0/8", "10.0.0.0/8,127.0.0.1:" .. origin.port } do
          assert.equal("200\tfalse\n", run(("no_proxy=%s http_proxy=http://127.0.0.1:1"):format(list), plain))
        end
        assert.equal("200\ttrue\n", run(("NO_PROXY=127.0.0.1:1,10.0.0.0/8 http_proxy=%s"):format(proxy.url), plain))
      end)

      through("notices that the proxy died", function(_, shared)
        assert.is_string(shared.url)
        local proxy <close> = proxies.start[name](9)
        local begun = semaphore.new(10)
        for _ = 1, 10 do begun:try() end
        listening(function(socket)
          local head = ""
          while not head:find("\r\n\r\n", 1, true) do head = head .. socket:read(65536, WAIT) end
          if head:find "/half" then socket:write "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf" end
          begun:release()
          socket:read(1, WAIT) -- until the proxy is gone
        end, function(address)
          local function ask(path) return http.get("http://" .. address .. path, { proxy = proxy.url, timeout = WAIT }) end
          http.get(origin.plain .. "/anything", { proxy = proxy.url })
          local secure = http.get(origin.secure .. "/anything", { proxy = proxy.url, ca = servers.ca })
          assert.equal(200, secure.status)
          local asked, tunnelled = task.spawn(ask, "/nothing"), task.spawn(http.get, origin.secure .. "/hang", { proxy = proxy.url, ca = servers.ca })
          local half <close> = http.get("http://" .. address .. "/half", { proxy = proxy.url, stream = true, timeout = WAIT })
          begun:acquire(WAIT)
          begun:acquire(WAIT)
          proxy:kill()
          assert.equal("ECONNRESET", failure(asked.join, asked).code)
          local lost = failure(tunnelled.join, tunnelled).code
          assert.is_true(lost == "ECONNRESET" or lost == "ECONNREFUSED", lost) -- it may have been sent again, on a new connection
          assert.equal("ECONNRESET", failure(function()
            for piece in half:chunks() do assert.equal("half", piece) end
          end).code)
          local e = failure(http.get, origin.secure .. "/anything", { proxy = proxy.url, ca = servers.ca })
          assert.same({ "ECONNREFUSED", "connect", false }, { e.code, e.phase, e.sent })
          proxy:restart()
          assert.equal(200, http.post(origin.secure .. "/anything", { proxy = proxy.url, ca = servers.ca }).status)
          assert.equal(200, http.post(origin.plain .. "/anything", { proxy = proxy.url }).status)
        end)
      end)
    end)
  end

  -- What a proxy says to CONNECT, and the client to that: code, text.
  local ODD = {
    { "", "ECONNRESET", "closed" }, { "HTTP/1.1 20", "ECONNRESET", "closed" },
    { "who goes there\r\n\r\n", "EPROTO", "no HTTP" }, { "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "EPROTO", "no HTTP" },
    { "HTTP/1.1 200 OK\r\n\r\nhello", "EPROTO", "more than it was asked" },
    { "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\n\r\n", "EPROXY", "302 Found" },
    { "HTTP/1.1 407 Who Are You\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 5\r\n\r\nhello", "EPROXY", "407 Who Are You" },
    { "HTTP/1.0 500\r\n\r\n", "EPROXY", "500" }, { "HTTP/1.1 101 Switching Protocols\r\n\r\n", "EPROTO", "" },
    { "HTTP/1.1 200 OK\r\nX-Long: " .. ("x"):rep(100000) .. "\r\n\r\n", "EPROTO", "" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "ECONNRESET", "TLS handshake" }, -- a tunnel, whatever these say of a body
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "ECONNRESET", "TLS handshake" },
    { "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n", "ECONNRESET", "TLS handshake" },
  }

  it("says what is wrong with the answer of a proxy", function()
    for _, odd in ipairs(ODD) do
      for _, by_byte in ipairs { false, true } do
        listening(function(socket)
          socket:read(65536, WAIT)
          if not by_byte or #odd[1] > 1000 then socket:write(odd[1])
          else for i = 1, #odd[1] do socket:write(odd[1]:sub(i, i)) end end
        end, function(address)
          local e = failure(http.get, "https://far.invalid/", { proxy = "http://" .. address, timeout = WAIT })
          local all = ("%q: %s %s"):format(odd[1]:sub(1, 60), e.code, e.message)
          assert.is_false(e.sent, all)
          if odd[2] == "EPROTO" and by_byte then
            assert.is_true(e.code == "EPROTO" or e.code == "ECONNRESET", all)
          else
            assert.equal(odd[2], e.code, all)
            assert.is_truthy(e.message:find(odd[3], 1, true), all)
          end
        end)
      end
    end
  end)
end)
