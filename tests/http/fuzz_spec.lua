-- SPDX-License-Identifier: MIT
-- Requests with random faults against a live server: whatever comes, it answers in well-formed HTTP or closes, and
-- goes on with the next. FUZZ_CASES and FUZZ_SEED make it run longer and elsewhere; the seed of a case that fails is
-- told.
local net = require "green.net"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local CASES = math.tointeger(os.getenv "FUZZ_CASES") or 2000
local SEED = math.tointeger(os.getenv "FUZZ_SEED") or 1
local AT_ONCE = 20
local PATIENCE = 20 -- seconds
local MOST = os.getenv "FUZZ_CASES" and math.huge or 60 -- seconds: a slow machine tries fewer of them

local valid = {
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /a/../b?c=d&e HTTP/1.1\r\nHost: a:80\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
  "HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "GET http://b.example:8080/stream HTTP/1.1\r\nHost: a\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: [::1]\r\n\r\n",
  "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890",
  "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\n12345\r\nA\r\n1234567890\r\n0\r\nT: u\r\n\r\n",
  "PUT /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
  "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
  "POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
  "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "GET /slow HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
}
local pieces = {
  "\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "%00", "..", "HTTP/1.1", "chunked", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
  "0\r\n\r\n", "ffffffffffffffff\r\n", "18446744073709551616", "\r\n\r\n", "\255\255", ("A"):rep(9000), "Expect: 100-continue\r\n", "Host: a\r\n",
}

local function handler(req)
  local path = req.path
  if path == "/stream" then return response.stream(function(out) out:write "a"; task.sleep(0); out:write "b" end) end
  if path == "/chunks" then for _ in req:chunks() do task.sleep(0) end end
  if path == "/unread" then return nil end
  if path == "/slow" then task.sleep(0) end
  return { req.method, #req:body(), req:header "host" }
end

-- ---- faults ----

local function place(rng, s) return rng(0, #s) end

local mutations = {
  function(rng, s) -- flip a bit
    if s == "" then return s end
    local i = rng(1, #s)
    return s:sub(1, i - 1) .. string.char(s:byte(i) ~ 1 << rng(0, 7)) .. s:sub(i + 1)
  end,
  function(rng, s) -- insert
    local i = place(rng, s)
    return s:sub(1, i) .. pieces[rng(1, #pieces)] .. s:sub(i + 1)
  end,
  function(rng, s) -- insert a byte
    local i = place(rng, s)
    return s:sub(1, i) .. string.char(rng(0, 255)) .. s:sub(i + 1)
  end,
  function(rng, s) -- delete
    local i = place(rng, s)
    return s:sub(1, i) .. s:sub(i + 1 + rng(1, 8))
  end,
  function(rng, s) -- duplicate
    local i = place(rng, s)
    local n = rng(1, 40)
    return s:sub(1, i + n) .. s:sub(i + 1)
  end,
  function(rng, s) return s:sub(1, place(rng, s)) end, -- truncate
  function(rng, s) -- splice with another
    local other = valid[rng(1, #valid)]
    return s:sub(1, place(rng, s)) .. other:sub(place(rng, other) + 1)
  end,
  function(rng, s) return s .. valid[rng(1, #valid)] end, -- pipeline
}

-- xorshift64*: the same numbers everywhere.
local function random(seed)
  local state = seed * 0x9E3779B97F4A7C15 ~ 0x2545F4914F6CDD1D
  if state == 0 then state = 1 end
  return function(low, high)
    state = state ~ state >> 12
    state = state ~ state << 25
    state = state ~ state >> 27
    return low + ((state * 0x2545F4914F6CDD1D) >> 33) % (high - low + 1)
  end
end

local function faulty(rng)
  local s = valid[rng(1, #valid)]
  for _ = 1, rng(1, 4) do s = mutations[rng(1, #mutations)](rng, s) end
  return s
end

-- ---- one case ----

-- Everything the server has said must be answers, one after the other; the last may be cut off by a reset.
local function check(client)
  local n = 0
  while true do
    local answer = client:answer()
    if not answer then break end
    if answer.status == 101 then error "nobody asked for another protocol" end
    n = n + 1
    assert(n < 100, "more answers than requests")
  end
  return n
end

local function case(address, seed)
  local rng = random(seed)
  local bytes = faulty(rng)
  if bytes:find "HEAD" then bytes = bytes:gsub("HEAD", "GET") end -- what answers HEAD looks like the head of more
  local client <close> = raw.connect(address)
  local ok, err = pcall(function()
    local cut = rng(0, 3) == 0 and place(rng, bytes) or #bytes
    pcall(function()
      client:send(bytes:sub(1, cut))
      task.sleep(0)
      if cut < #bytes then client:send(bytes:sub(cut + 1)) end
      if rng(0, 9) > 0 then client:shutdown() else client:close() end
    end)
    check(client)
  end)
  if not ok and not (type(err) == "table" and (err.code == "ECLOSED" or err.code == "EPIPE")) then
    error(("seed %d: %s\nrequest: %q"):format(seed, tostring(err), bytes), 0)
  end
end

local function run(address, from, to)
  local next_seed, late = from, task.now() + MOST
  local function worker()
    while next_seed <= to and task.now() < late do
      local seed = next_seed
      next_seed = seed + 1
      case(address, seed)
    end
  end
  local workers = {}
  for i = 1, AT_ONCE do workers[i] = task.spawn(worker) end
  for _, one in ipairs(workers) do one:join() end
end

describe("random faults", function()
  it("in requests are answered or end the connection", function()
    local limits = { header_timeout = PATIENCE, body_timeout = PATIENCE, request_timeout = PATIENCE, keepalive_timeout = PATIENCE }
    raw.serve(handler, limits, function(address, server)
      run(address, SEED, SEED + CASES - 1)
      assert.equal('["GET",0,"a"]', raw.ask(address, valid[1]).body)
      local waiting = 0
      while server:connections() > 0 do
        waiting = waiting + 1
        assert(waiting < 5000, "connections are left behind")
        task.sleep(0.001)
      end
    end)
  end)

  it("in bytes of any kind, too", function()
    raw.serve(handler, {}, function(address)
      local rng = random(SEED)
      for _ = 1, 100 do
        local bytes = {}
        for i = 1, rng(1, 300) do bytes[i] = string.char(rng(0, 255)) end
        local socket <close> = net.connect(address)
        socket:write(table.concat(bytes))
        socket:shutdown()
        local ok, answer = pcall(socket.read, socket, 65536, PATIENCE)
        assert(not ok or answer == nil or answer:find "^HTTP/1.1 %d%d%d ", answer)
        assert(ok or answer.code ~= "ETIMEDOUT")
      end
      assert.equal('["GET",0,"a"]', raw.ask(address, valid[1]).body)
    end)
  end)
end)
