-- SPDX-License-Identifier: MIT
-- The process that run.lua starts, with refuse.so preloaded: client, servers and proxy in one. For each scenario it has the n-th
-- allocation of C refused, for one n after the other, and looks what becomes of the request, and whether the next one is served.
--
--     walk.lua FOLDER SEED N [SCENARIO [ORDER]]   FOLDER has refuse.so and the certificates; N: places for each scenario, 0: all
package.path = arg[0]:match "^(.*)/[^/]*$" .. "/../../?.lua;" .. package.path

local fault = require "green.error"
local frames = require "http.frames"
local h2 = require "http.h2"
local http = require "green.http"
local native = require "green.http.native"
local net = require "green.net"
local response = require "green.response"
local task = require "green.task"
local transport = require "green.http.transport"
local ws = require "green.ws"

local folder, seed, places, only, just = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4], tonumber(arg[5])
local refuse = assert(package.loadlib(folder .. "/refuse.so", "luaopen_refuse"))()
local MANY = 1 << 30
local PATIENCE = 60 -- seconds for one request, which takes milliseconds
local LONG = ("long "):rep(40000)

require("green.debug").report_stalls(false)
math.randomseed(seed)

-- ---- servers ----

local ZIPPED = io.open(folder .. "/zipped", "rb"):read "a" -- LONG

local function zipped()
  local res = response.text(ZIPPED)
  res:header("content-encoding", "gzip")
  return res
end

local base

local routes = {
  ["/"] = function() return "ok" end,
  ["/long"] = function() return LONG end,
  ["/zip"] = zipped,
  ["/echo"] = function(req) return req:body() end,
  ["/chunks"] = function(req) return response.stream(function(out)
    for piece in req:chunks() do out:write(piece) end
    out:trailers { ["x-sum"] = "7" }
  end) end,
  ["/away"] = function() return response.redirect("/", 302) end,
  ["/front"] = function() return response.proxy(base .. "/long") end,
  ["/json"] = function() return { list = { 1, 2, 3 } } end,
  ["/ws"] = function(req)
    local socket <close> = ws.accept(req)
    for message in socket:messages() do socket:send(message) end
  end,
}

local server = native.listen("127.0.0.1:0", function(req) return routes[req.path](req) end)
base = "http://" .. server:address()

local CERT = { cert = folder .. "/site.pem", key = folder .. "/site.key" }
local https = "https://localhost:" .. native.listen("127.0.0.1:0", function(req) return routes[req.path](req) end, { tls = CERT }):address():match "%d+$"

local behind = native.listen("127.0.0.1:0", function(req) return req.remote end, { trusted_proxies = { "127.0.0.1" }, proxy_protocol = true }):address()

-- Serves each connection of a listener in a task of its own. What fails here for a lack of memory ends a connection, and nothing else.
local function serving(listener, serve)
  task.spawn(function()
    while true do
      local ok, socket = pcall(listener.accept, listener)
      if not ok or not pcall(task.spawn, function() pcall(serve, socket) pcall(socket.close, socket) end) then
        if ok then pcall(socket.close, socket) end
        pcall(task.sleep, 0.001)
      end
    end
  end)
  return listener:address()
end

local function head_of(socket)
  local head = ""
  while not head:find("\r\n\r\n", 1, true) do head = head .. assert(socket:read(65536)) end
  return head
end

local secure = "https://localhost:" .. serving(net.listen("127.0.0.1:0", { tls = CERT }), function(socket)
  while true do
    head_of(socket)
    socket:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  end
end):match "%d+$"

local proxy = "http://" .. serving(net.listen "127.0.0.1:0", function(socket)
  local port = head_of(socket):match "^CONNECT [^:]*:(%d+)"
  if port == "1" then return socket:write "HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nwho" end
  local there <close> = net.connect("127.0.0.1:" .. port)
  socket:write "HTTP/1.1 200 Yes\r\n\r\n"
  local back = task.spawn(function()
    pcall(function() for bytes in function() return there:read(65536) end do socket:write(bytes) end end)
    pcall(socket.close, socket)
  end)
  pcall(function() for bytes in function() return socket:read(65536) end do there:write(bytes) end end)
  back:cancel()
end)

-- ---- scenarios: each returns what came, and what should have come ----

local function pieces()
  local n = 0
  return function()
    n = n + 1
    return n <= 3 and ("x"):rep(30000) or nil
  end
end

local CA = { ca = folder .. "/ca.pem" }

local scenarios = {
  { "get", function() return http.get(base .. "/").body, "ok" end },
  { "long", function() return http.get(base .. "/long").body, LONG end },
  { "gzip", function() return http.get(base .. "/zip").body, LONG end },
  { "json", function() return #http.post(base .. "/json", { json = { a = 1 } }):json().list, 3 end },
  { "echo", function() return http.post(base .. "/echo", { body = LONG }).body, LONG end },
  { "pieces", function()
    local got = http.post(base .. "/chunks", { body = pieces(), trailers = { ["x-a"] = "b" }, stream = true })
    local all, closing <close> = {}, got
    for piece in closing:chunks() do all[#all + 1] = piece end
    return table.concat(all) .. (got.status == 200 and got:trailers()["x-sum"] or ""), ("x"):rep(90000) .. "7"
  end },
  { "stream", function()
    local got <close> = http.get(base .. "/zip", { stream = true })
    local all = {}
    for piece in got:chunks() do all[#all + 1] = piece end
    return table.concat(all), LONG
  end },
  { "redirect", function() return http.get(base .. "/away").body, "ok" end },
  { "gateway", function() return http.get(base .. "/front").body, LONG end },
  { "form", function() return http.post(base .. "/echo", { form = { a = 1 } }).body, "a=1" end },
  { "tls", function() return http.get(secure .. "/", CA).body, "ok" end },
  { "https", function() return http.get(https .. "/long", CA).body, LONG end },
  { "tunnel", function() return http.get(secure .. "/", { ca = CA.ca, proxy = proxy }).body, "ok" end },
  { "refused", function()
    local _, e = pcall(http.get, "https://localhost:1/", { ca = CA.ca, proxy = proxy })
    if fault.is(e, "EPROXY") then return e.response.body, e.response.body == "" and "" or "who" end
    error(e, 0)
  end },
  { "websocket", function()
    local socket <close> = ws.connect(base:gsub("^http", "ws") .. "/ws")
    for _ = 1, 2 do socket:send(LONG) end
    local got = { (socket:receive()), (socket:receive()) }
    if not got[2] then fault.raise("ws", "ECLOSED", "closed with %s", socket.close_code) end
    return got[1] == got[2] and got[1], LONG
  end },
  { "announced", function()
    local socket <close> = net.connect(behind)
    socket:write "PROXY TCP4 "
    task.sleep(0)
    socket:write "192.0.2.7 127.0.0.1 5 80\r\nGET / HTTP/1.0\r\n\r\n"
    local answer = ""
    for bytes in function() return socket:read(65536) end do answer = answer .. bytes end
    return answer:match "\r\n\r\n(.*)" or fault.raise("announced", "ECLOSED", "closed"), "192.0.2.7:5"
  end },
  { "h2 websocket", function()
    local client <close> = h2.connect(base:match "//(.*)$")
    client:send(h2.headers(1, { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" }, { ":path", "/ws" }, { ":authority", "a" },
      { "sec-websocket-version", "13" } }), h2.frame(h2.DATA, 0, 1, frames.text "hello"), h2.frame(h2.DATA, 0, 1, frames.close(1000)),
      h2.frame(h2.DATA, h2.END_STREAM, 1, ""))
    local answer = client:answer(1)
    if not answer or answer.reset then fault.raise("h2", "ECONNRESET", "the stream or the connection has ended") end
    if answer.status == 200 and #answer.body < 11 then fault.raise("h2", "ECLOSED", "the socket has ended") end
    return answer.status == 200 and answer.body:sub(3, 7) or "status", "hello"
  end },
  { "h2", function()
    local client <close> = h2.connect(base:match "//(.*)$")
    client:send(h2.post(1, "/echo", LONG:sub(1, 16000)), h2.get(3, "/front"), h2.headers(5, h2.fields("POST", "/chunks")), h2.frame(h2.DATA, 0, 5, "piece"),
      h2.headers(5, { { "x-a", "b" } }, h2.END_STREAM))
    local bodies = {}
    for i, stream in ipairs { 1, 3, 5 } do
      local answer = client:answer(stream)
      if not answer or answer.reset then fault.raise("h2", "ECONNRESET", "the stream or the connection has ended") end
      bodies[i] = answer.status == 200 and answer.body or "status"
      if answer.status ~= 200 then return "status", LONG end
    end
    return bodies[1] == LONG:sub(1, 16000) and bodies[3] == "piece" and bodies[2], LONG
  end },
  { "name", function() return http.get((base:gsub("127.0.0.1", "localhost")) .. "/").body, "ok" end },
}

-- ---- the walk ----

-- How the request went: "ok", or the code of its error. Anything else is a failure of ours, and ends the walk.
local function judge(name, n, ok, got, expected)
  if ok and got == expected then return "ok" end
  if not ok and (fault.is(got) or tostring(got):find "not enough memory") then return fault.is(got) and got.code or "memory" end
  if ok and type(got) == "string" and not got:find(tostring(expected):sub(1, 5), 1, true) and #got < 200 then return "status" end -- a 500 or 503
  error(("%s %d: %s"):format(name, n, tostring(got):sub(1, 200)), 0)
end

local function attempt(name, n, last, run)
  io.stdout:write(("%s %d\n"):format(name, n))
  io.stdout:flush()
  refuse.order(n, last)
  local ok, got, expected = pcall(task.deadline, PATIENCE, run)
  local seen = refuse.stop()
  if not ok and fault.is(got, "EDEADLINE") then error(("%s %d: it hangs"):format(name, n), 0) end
  return judge(name, n, ok, got, expected), seen
end

-- The process serves again, at once: what was refused is told or over.
local function recovers(name, n, run)
  local ok, got, expected = pcall(task.deadline, PATIENCE, run)
  if not ok or got ~= expected then error(("%s after %d: %s"):format(name, n, tostring(got):sub(1, 200)), 0) end
end

-- Walks over the places of a request. `fresh`: on a connection of its own; `last(n)`: which allocations are refused from the n-th on.
local function walk(name, run, fresh, last)
  local outcomes = {}
  recovers(name, 0, run)
  if fresh then transport.close_idle() end
  local _, count = attempt(name, MANY, MANY, run)
  local step = places == 0 and 1 or math.max(1, count / places)
  local at = just or 1 + (places == 0 and 0 or math.random() * step)
  while at <= count + 1 do
    local n = math.floor(at)
    if fresh then transport.close_idle() end
    local how = attempt(name, n, last(n), run)
    outcomes[how] = (outcomes[how] or 0) + 1
    recovers(name, n, run)
    at = just and MANY or at + step
  end
  local words = {}
  for how, times in pairs(outcomes) do words[#words + 1] = how .. "=" .. times end
  table.sort(words)
  print(("%s: %d allocations: %s"):format(name, count, table.concat(words, " ")))
end

for _, scenario in ipairs(scenarios) do
  local name, run = scenario[1], scenario[2]
  if not only or only == name then
    walk(name .. " new", run, true, function(n) return n end)
    walk(name .. " new and on", run, true, function(n) return n + 20 end)
    walk(name .. " kept", run, false, function(n) return n end)
  end
end
print "done"
os.exit(0)
