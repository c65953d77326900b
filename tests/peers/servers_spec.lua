-- SPDX-License-Identifier: MIT
-- The HTTP client against servers of others: nginx, Go's net/http, Node, Python's http.server (HTTP/1.1 and 1.0) and aiohttp, and
-- nginx as a reverse proxy; plain and with TLS. One specification for all of them; servers.lua says where one differs.
-- Needs: node peers
local fs = require "green.fs"
local http = require "green.http"
local outcome = require "outcome"
local peers = require "peers.servers"
local task = require "green.task"

local failure = outcome.failure

local WAIT = 60 -- seconds; nothing takes that long unless it is broken
local servers

-- What /anything says: the first line, and headers by name.
local function told(resp)
  local lines = {}
  for name, value in resp.body:gmatch "([%w-]+): ([^\n]*)\n" do lines[name] = value end
  return resp.body:match "^([^\n]*)\n", lines
end

-- The tests: name, the route that it needs, fn(client, server, kind, base).
local TESTS = {}
local function test(name, route, fn) TESTS[#TESTS + 1] = { name = name, route = route, run = fn } end

test("sends methods, targets and headers as they are", "anything", function(client, server, kind, base)
  for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE" } do
    local resp = client:request(method, "/anything/a%20b?x=1&y=%C3%A9", { headers = { ["X-Probe"] = "here: we, are" } })
    local first, headers = told(resp)
    assert.equal(method .. " /anything/a%20b?x=1&y=%C3%A9", first)
    assert.equal("here: we, are", headers["x-probe"])
    assert.equal(base:match "//(.*)$", headers.host)
    assert.matches("^greenlua/", headers["user-agent"])
    assert.equal(kind.differs and kind.differs.version or "1.1", resp.version)
    assert.matches("^text/plain", resp.headers["content-type"])
  end
end)

test("takes each status for what it is", "status", function(client)
  for _, code in ipairs(peers.codes) do
    local resp = client:get("/status/" .. code)
    assert.equal(code, resp.status)
    if code == 204 or code == 304 then assert.equal("", resp.body) end
  end
end)

test("takes the head alone of HEAD", "bytes", function(client)
  local resp = client:head "/bytes/1000"
  assert.same({ 200, "1000", "" }, { resp.status, resp.headers["content-length"], resp.body })
  assert.equal(1000, #client:get("/bytes/1000").body)
end)

test("follows redirects by the rules of each status", "redirect", function(client, _, _, base)
  for _, code in ipairs(peers.redirects) do
    local resp = client:post("/redirect/" .. code, { form = { a = "b" } })
    assert.equal((code >= 307 and "POST" or "GET") .. " /anything", told(resp))
    assert.equal(base .. "/anything", resp.url)
    assert.equal(code, client:post("/redirect/" .. code, { form = { a = "b" }, redirects = false }).status)
  end
end)

test("follows redirects to another origin, without credentials", "redirect-to", function(client, server, _, base)
  local other = base == server.plain and server.secure or server.plain
  local resp = client:get("/redirect-to?url=" .. other .. "/anything", { auth = { "us", "pa" } })
  local first, headers = told(resp)
  assert.same({ "GET /anything", "", other .. "/anything" }, { first, headers.authorization, resp.url })
end)

test("keeps cookies", "cookies", function(_, _, _, base)
  local client = http.client { base_url = base, ca = servers.ca, cookies = true, timeout = WAIT }
  assert.equal("a=1; b=2", client:get("/cookies/set").body)
  assert.equal("a=1; b=2", client:get("/cookies").body)
end)

test("undoes codings", "gzip", function(client)
  local text = ("squeezed"):rep(1000)
  for _, coding in ipairs { "gzip", "deflate", "br" } do
    local resp = client:get("/" .. coding)
    assert.equal(text, resp.body)
    assert.is_nil(resp.headers["content-encoding"])
    assert.equal("8000", resp.headers["content-length"] or "8000") -- there is none of an answer in chunks
    local parts = {}
    for part in client:get("/" .. coding, { stream = true }):chunks() do parts[#parts + 1] = part end
    assert.equal(text, table.concat(parts))
    local raw = client:get("/" .. coding, { decode = false, headers = { ["Accept-Encoding"] = coding } })
    assert.equal(coding, raw.headers["content-encoding"])
    assert.is_true(#raw.body < 1000)
  end
end)

test("takes what comes in pieces", "chunked", function(client, _, kind, base)
  if kind.differs and kind.differs.unannounced and base:find "^https" then
    assert.equal("ETRUNCATED", failure(client.get, client, "/chunked").code)
    return
  end
  assert.equal("one two three", client:get("/chunked").body)
  assert.equal(("drop by 10"):rep(10), client:get("/drip").body)
  local parts = {}
  for part in client:get("/drip", { stream = true }):chunks() do parts[#parts + 1] = part end
  assert.equal(("drop by 10"):rep(10), table.concat(parts))
end)

test("leaves a body before its end", "drip", function(client)
  for part in client:get("/drip", { stream = true }):chunks() do
    assert.is_true(#part > 0)
    break
  end
  client:get("/bytes/1000000", { stream = true }):close()
  assert.equal(1, #client:get("/bytes/1").body)
end)

test("takes large bodies and parts of them", "bytes", function(client)
  local all = peers.bytes(1000000)
  assert.equal("", client:get("/bytes/0").body)
  assert.is_true(all == client:get("/bytes/1000000").body)
  local resp = client:get("/bytes/1000", { headers = { Range = "bytes=10-19" } })
  assert.same({ 206, "bytes 10-19/1000", all:sub(11, 20) }, { resp.status, resp.headers["content-range"], resp.body })
  resp = client:get("/bytes/1000", { headers = { Range = "bytes=1000-" } })
  assert.same({ 416, "bytes */1000" }, { resp.status, resp.headers["content-range"] })
  assert.equal("EMSGSIZE", failure(client.get, client, "/bytes/1000000", { max_body = 1000 }).code)
end)

test("downloads into a file", "bytes", function(_, _, _, base)
  local dir <close> = fs.temp_dir()
  local path = fs.join(dir.path, "all")
  assert.equal(1000000, http.download(base .. "/bytes/1000000", path, { ca = servers.ca, timeout = WAIT }).size)
  assert.is_true(peers.bytes(1000000) == fs.read(path))
end)

-- A name that is new to the server.
local stored = 0
local function new_name()
  stored = stored + 1
  return "/store/n" .. stored
end

test("sends bodies whole and in pieces", "store", function(client)
  local all = peers.bytes(1000000)
  local function pieces()
    local at = 1
    return function()
      if at > #all then return nil end
      local piece = all:sub(at, at + 99999)
      at = at + #piece
      return piece
    end
  end
  for _, body in ipairs { { body = all }, { body = pieces(), length = #all }, { body = pieces() } } do
    local name = new_name()
    assert.equal(201, client:put(name, body).status)
    assert.is_true(all == client:get(name).body)
    assert.equal(204, client:delete(name).status)
    assert.equal(404, client:get(name).status)
  end
  local name = new_name()
  assert.equal(201, client:put(name, { body = "" }).status)
  assert.equal("", client:get(name).body)
  client:delete(name)
end)

test("asks before it sends, when told to", "store", function(client, _, kind)
  local name = new_name()
  assert.equal(201, client:put(name, { body = "agreed", expect = true }).status)
  assert.equal("agreed", client:get(name).body)
  client:delete(name)
  local asked = false
  local function body()
    local first = not asked
    asked = true
    return first and "unwanted" or nil
  end
  local resp = client:put("/refuse", { body = body, length = 8, expect = true })
  assert.equal(413, resp.status)
  if not (kind.differs and kind.differs.expects) then assert.is_false(asked) end
end)

test("takes an answer that comes before all is sent", "refuse", function(client, _, kind)
  local ok, resp = pcall(client.put, client, "/refuse", { body = peers.bytes(4000000), expect = false })
  if ok and resp.status == 502 then -- the reset overtook the answer on its way to a proxy
    assert.matches(" before ", kind.name)
    assert.is_false(kind.lingers)
  elseif ok then
    assert.same({ 413, "too much" }, { resp.status, resp.body })
  else -- a server that does not read on resets the connection, and a reset may overtake the answer
    assert.is_false(kind.lingers, tostring(resp))
    assert.is_true(resp.code == "ECONNRESET" or resp.code == "EPIPE", tostring(resp))
  end
  assert.equal(1, #client:get("/bytes/1").body)
end)

test("proves who it is", "basic", function(client)
  local out = client:get "/basic"
  assert.equal(401, out.status)
  assert.matches('^Basic realm="peers"', out.headers["www-authenticate"])
  assert.equal("in", client:get("/basic", { auth = { "us", "pa" } }).body)
  assert.equal(401, client:get("/basic", { auth = { "us", "wrong" } }).status)
  assert.equal(401, client:get("/bearer").status)
  assert.equal("in", client:get("/bearer", { auth = { bearer = "token" } }).body)
end)

test("keeps connections, unless told otherwise", "close", function(client, _, kind)
  local kept = not (kind.differs and kind.differs.kept)
  client:get "/anything"
  for _ = 1, 3 do assert.equal(kept, client:get("/anything").reused) end
  assert.equal("bye", client:get("/close").body)
  assert.is_false(client:get("/anything", { keep_alive = false }).reused and not kept)
end)

test("outlives connections that end unannounced", "leave", function(client)
  for _ = 1, 5 do
    assert.equal("bye", client:get("/leave").body)
    assert.equal(200, client:get("/anything").status)
  end
end)

test("says that there was no answer", "silence", function(client, _, kind)
  if kind.differs and kind.differs.silence then
    assert.equal(502, client:get("/silence").status)
  else
    local e = failure(client.get, client, "/silence")
    assert.same({ "ECONNRESET", "head", true }, { e.code, e.phase, e.sent })
  end
  assert.equal(200, client:get("/anything").status)
end)

test("says that an answer was cut", "cut", function(client)
  for _, path in ipairs { "/cut", "/cut/chunked", "/reset" } do
    local e = failure(client.get, client, path)
    assert.same({ "ECONNRESET", path }, { e.code, path })
    if path ~= "/reset" then assert.equal("body", e.phase) end -- a reset may overtake what was said before
    e = failure(function()
      for part in client:get(path, { stream = true }):chunks() do assert.equal("half", part) end
    end)
    assert.same({ "ECONNRESET", path }, { e.code, path })
  end
  assert.equal(200, client:get("/anything").status)
end)

test("does not wait longer than it was told", "hang", function(client)
  local e = failure(client.get, client, "/hang", { timeouts = { first_byte = 0.05 } })
  assert.same({ "ETIMEDOUT", "head" }, { e.code, e.phase })
  local one = outcome.waiting(task.spawn(client.get, client, "/hang"))
  one:cancel()
  assert.equal("ECANCELED", failure(one.join, one).code)
  assert.equal(200, client:get("/anything").status)
end)

test("passes hints by", "hints", function(client)
  local resp = client:get "/hints"
  assert.same({ 200, "hinted" }, { resp.status, resp.body })
end)

test("asks many things at once", "bytes", function(client)
  local paths = {}
  for i = 1, 60 do paths[i] = i % 3 == 0 and "/gzip" or "/bytes/1000" end
  local squeezed, all = ("squeezed"):rep(1000), peers.bytes(1000)
  for i, resp in ipairs(task.map(paths, function(path) return client:get(path) end)) do
    assert.equal(paths[i] == "/gzip" and squeezed or all, resp.body)
  end
end)

describe("the client", function()
  setup(function() servers = peers.start() end)

  teardown(function() if servers then servers:close() end end)

  for _, kind in ipairs(peers.kinds) do
    for _, secure in ipairs { false, true } do
      describe(("with %s%s"):format(kind.name, secure and ", TLS" or ""), function()
        for _, one in ipairs(TESTS) do
          if not (kind.lacks and kind.lacks[one.route]) then
            it(one.name, function()
              local server = servers[kind.name]
              if not server then return pending(("%s is not installed (scripts/setup peers)"):format(servers.absent[kind.name])) end
              local base = secure and server.secure or server.plain
              one.run(http.client { base_url = base, ca = servers.ca, timeout = WAIT }, server, kind, base)
            end)
          end
        end
      end)
    end
  end
end)
