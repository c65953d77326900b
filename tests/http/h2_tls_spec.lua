-- SPDX-License-Identifier: MIT
-- HTTP/2 over TLS: who is given it (ALPN), and that it is what HTTP/1.1 is to the same handlers: for curl, nghttp2's own clients, Python's and
-- Node's, each of which has another implementation.
-- Needs: peers
local certificates = require "net.certificates"
local h2 = require "http.h2"
local process = require "green.process"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local WAIT = 60 -- seconds, where something is bound to come

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

local function serving(handler, fn, options) raw.serve(handler, merged({ tls = certs.site }, options or {}), fn) end

local function dial(address, alpn) return h2.connect(address, { tls = { ca = certs.ca, alpn = alpn } }) end

local function capture(...)
  local got = process.capture({ ... }, { timeout = WAIT })
  assert(got.code == 0, got.stderr .. got.stdout)
  return got.stdout
end

local function curl(address, path, ...) return capture("curl", "-sS", "https://" .. address .. path, "--cacert", certs.ca, ...) end

local function site(req)
  if req.path == "/" then return ("%s %s %s %s"):format(req.version, req.scheme, req.tls and req.tls.alpn or "none", req.host:match "^[^:]*") end
  if req.path == "/echo" then return response.stream(function(out) for piece in req:chunks() do out:write(piece) end end) end
  if req.path == "/size" then return tostring(#req:body(1 << 26)) end
  if req.path == "/large" then return ("x"):rep(10000000) end
  if req.path == "/trailers" then
    return response.stream(function(out)
      out:write "body"
      out:trailers { ["x-sum"] = "7" }
    end)
  end
  return response.events(function(events)
    for i = 1, 3 do
      events:send(tostring(i))
      task.sleep(0.001)
    end
  end)
end

describe("over TLS, HTTP/2", function()
  it("is spoken with who asks for it, before HTTP/1.1", function()
    serving(site, function(address)
      assert.equal("2 https h2 127.0.0.1", curl(address, "/"))
      assert.equal("1.1 https http/1.1 127.0.0.1", curl(address, "/", "--http1.1"))
      assert.equal("1.1 https none 127.0.0.1", curl(address, "/", "--no-alpn"))
      local client <close> = dial(address, { "http/1.1", "h2" })
      client:send(h2.get(1, "/"))
      assert.equal("2 https h2 a", client:answer(1).body)
    end)
  end)

  it("is not spoken by a server that shall not", function()
    serving(site, function(address)
      assert.equal("1.1 https http/1.1 127.0.0.1", curl(address, "/"))
      local ok, err = pcall(dial, address, "h2")
      assert.is_false(ok)
      assert.equal("ETLS", err.code)
      local client <close> = dial(address) -- who has not asked for it may not begin it
      assert.equal("HTTP/1.1 505", client.socket:read(12, WAIT))
    end, { http2 = false })
  end)

  it("is not begun by a preface, where TLS has agreed on nothing or on something else", function()
    serving(site, function(address)
      for _, alpn in ipairs { {}, { "http/1.1" } } do
        local client <close> = dial(address, alpn[1])
        assert.equal("HTTP/1.1 505", client.socket:read(12, WAIT))
      end
      local client <close> = h2.bare(address, { tls = { ca = certs.ca, alpn = "h2" } })
      client:send(raw.GET .. (" "):rep(30)) -- nor does HTTP/1.1 stand where HTTP/2 was agreed on
      assert.equal(h2.PROTOCOL_ERROR, client:rest())
    end)
  end)

  it("is what renewed certificates offer, too", function()
    serving(site, function(address, server)
      server:set_tls(certs.site)
      assert.equal("2 https h2 127.0.0.1", curl(address, "/"))
    end)
    serving(site, function(address, server)
      server:set_tls(certs.site)
      assert.equal("1.1 https http/1.1 127.0.0.1", curl(address, "/"))
    end, { http2 = false })
  end)

  it("ends with the server, and with a client that says nothing", function()
    serving(site, function(address, server)
      local client <close> = dial(address, "h2")
      client:send(h2.get(1, "/"))
      assert.equal(200, client:answer(1).status)
      local ending = task.spawn(server.finish, server, 20)
      assert.equal(h2.NO_ERROR, client:rest())
      client:close()
      ending:join()
    end)
    serving(site, function(address)
      local client <close> = dial(address, "h2")
      assert.equal(h2.NO_ERROR, client:rest())
    end, { header_timeout = 0.2 })
  end)
end)

describe("HTTP/2 of others:", function()
  it("curl, up and down", function()
    serving(site, function(address)
      assert.equal("5000000", capture("sh", "-c", ("head -c 5000000 /dev/zero | curl -sS --http2 --cacert %s --data-binary @- https://%s/size"):format(certs.ca, address)))
      assert.equal("10000000", capture("sh", "-c", ("curl -sS --cacert %s https://%s/large | wc -c"):format(certs.ca, address)):match "%d+")
      assert.equal("data: 1\n\ndata: 2\n\ndata: 3\n\n", curl(address, "/events"))
      assert.equal("abc", curl(address, "/echo", "-d", "abc"))
      assert.equal("2 200 0", curl(address, "/", "-I", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}"))
    end)
    raw.serve(site, {}, function(address)
      assert.equal("2 http none 127.0.0.1", capture("curl", "-sS", "--http2-prior-knowledge", "http://" .. address .. "/"))
      assert.equal("1.1 http none 127.0.0.1", capture("curl", "-sS", "--http2", "http://" .. address .. "/")) -- an Upgrade to h2c is not taken up
    end)
  end)

  it("nghttp and h2load, many streams at once", function()
    serving(site, function(address)
      local said = capture("nghttp", "-v", "--no-dep", ("https://%s/trailers"):format(address))
      assert.matches("x-sum: 7", said, 1, true)
      local load = capture("h2load", "-n", "600", "-c", "3", "-m", "50", ("https://%s/"):format(address))
      assert.matches("600 succeeded, 0 failed, 0 errored, 0 timeout", load, 1, true)
      load = capture("h2load", "-n", "6", "-c", "2", "-m", "3", ("https://%s/large"):format(address))
      assert.matches("6 succeeded, 0 failed, 0 errored, 0 timeout", load, 1, true)
    end)
  end)

  it("Python's httpx", function()
    serving(site, function(address)
      assert.equal("HTTP/2 2 https h2 127.0.0.1\n3000000\n10000000\n100 3\n", capture(require "peers.python", "-c", [[
import sys, asyncio, httpx
ca, base = sys.argv[1:]
async def main():
    async with httpx.AsyncClient(http2=True, verify=ca, timeout=60) as client:
        got = await client.get(base + "/")
        print(got.http_version, got.text)
        print((await client.post(base + "/size", content=b"x" * 3000000)).text)
        print(len((await client.get(base + "/large")).content))
        answers = await asyncio.gather(*(client.post(base + "/echo", content=b"abc") for _ in range(100)))
        print(len(answers), *{len(answer.content) for answer in answers})
asyncio.run(main())
]], certs.ca, "https://" .. address))
    end)
  end)

  it("Node's", function()
    serving(site, function(address)
      assert.equal("h2 200 2 https h2 127.0.0.1\n3000000\n10000000\nbody 7\n", capture("node", "-e", [[
const [ca, base] = process.argv.slice(1)
const client = require("http2").connect(base, { ca: require("fs").readFileSync(ca) })
const ask = (headers, body) => new Promise((done, fail) => {
  const stream = client.request(headers), got = { text: "" }
  stream.setEncoding("utf8").on("response", (h) => { got.status = h[":status"] }).on("trailers", (t) => { got.trailers = t })
  stream.on("data", (piece) => { got.text += piece }).on("end", () => done(got)).on("error", fail)
  stream.end(body)
})
const main = async () => {
  const first = await ask({ ":path": "/" })
  console.log(client.alpnProtocol, first.status, first.text)
  console.log((await ask({ ":path": "/size", ":method": "POST" }, Buffer.alloc(3000000))).text)
  console.log((await ask({ ":path": "/large" })).text.length)
  const last = await ask({ ":path": "/trailers" })
  console.log(last.text, last.trailers["x-sum"])
  client.close()
}
main()
]], certs.ca, "https://" .. address))
    end)
  end)
end)
