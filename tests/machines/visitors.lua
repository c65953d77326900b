-- SPDX-License-Identifier: MIT
-- What a site has to put up with: each visit is one of many kinds, most of them rude. A visit returns whether or not it was served:
-- what must hold is that nothing is left of it.
local frames = require "http.frames"
local http = require "green.http"
local hub = require "green.hub"
local net = require "green.net"
local process = require "green.process"
local task = require "green.task"

local PATHS = { "/text", "/json?n=3", "/json?n=300", "/large", "/stream", "/events", "/file", "/slow", "/busy", "/late", "/group", "/rows", "/command",
  "/publish", "/again", "/written", "/nothing" }

local V = {}

local function get(path, headers) return ("GET %s HTTP/1.1\r\nHost: here\r\n%s\r\n"):format(path, headers or "") end

local function post(path, body) return ("POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s"):format(path, #body, body) end

-- ---- politely, by the client with its kept connections ----

function V.get(r, at) return http.get("http://" .. at .. r:pick(PATHS), { timeout = 0.5 }) end
function V.post(r, at)
  return http.post("http://" .. at .. r:pick { "/echo", "/pieces" }, { body = ("b"):rep(r:below(100000)), timeout = 0.5 })
end
function V.count(r, at) return http.post(("http://%s/count?name=n%d%s"):format(at, r:below(20), r:pick { "", "&wait=1" }), { body = "", timeout = 0.5 }) end

-- ---- rudely, by hand ----

local function visit(at, fn)
  local socket <close> = net.connect(at, 2)
  return fn(socket)
end

-- Several requests at once, and away, with most of the answers unread: a reset.
function V.leave(r, at)
  visit(at, function(s)
    for _ = 1, r:below(4) do s:write(get(r:pick(PATHS)), 1) end
    if r:chance(70) then s:read(r:below(1000), 0.1) end
  end)
end

function V.slow_reader(r, at)
  visit(at, function(s)
    s:write(get(r:pick { "/large", "/stream", "/file" }), 1)
    for _ = 1, r:below(10) do
      if not s:read(r:below(30000), 0.1) then return end
      task.sleep(0.001)
    end
  end)
end

function V.half_a_request(r, at)
  visit(at, function(s)
    local text = r:chance(50) and get(r:pick(PATHS)) or post("/echo", ("z"):rep(r:below(5000)))
    s:write(text:sub(1, r:below(#text)), 1)
    if r:chance(50) then s:shutdown() end
    if r:chance(50) then s:read(1000, 0.01) end
  end)
end

function V.nonsense(r, at)
  visit(at, function(s)
    local bytes = {}
    for i = 1, r:below(300) do bytes[i] = string.char(r:below(256) - 1) end
    s:write(table.concat(bytes), 1)
    s:read(1000, 0.01)
  end)
end

function V.dribble(r, at)
  visit(at, function(s)
    local text = post("/pieces", ("d"):rep(50))
    for i = 1, #text, 20 do
      s:write(text:sub(i, i + 19), 1)
      task.sleep(0)
    end
    s:read(1000, 0.1)
    if r:chance(50) then s:write(get "/text", 1) end
  end)
end

-- ---- WebSockets ----

function V.talk(r, at)
  local client <close> = frames.ask(at, { path = "/ws" })
  for i = 1, r:below(5) do client:text(("m%d"):format(i):rep(r:below(500))) end
  if r:chance(10) then client:text "leave" end
  for _ = 1, r:below(3) do client:frame() end
  if r:chance(50) then
    client:raw(frames.close(1000))
    client:frame()
  end
end

function V.listen(r, at)
  local client <close> = frames.ask(at, { path = "/push" })
  for _ = 1, r:below(10) do client:frame() end
end

function V.garbled(r, at)
  local client <close> = frames.ask(at, { path = "/ws" })
  client:raw(frames.encode(r:below(16) - 1, ("?"):rep(r:below(200)), { rsv = r:below(8) - 1, fin = r:chance(50) }))
  client:frame()
end

-- ---- beside the site ----

function V.subscribe(r)
  local news <close> = hub.subscribe "news"
  if r:chance(50) then hub.publish("news", "hello") end
  if r:chance(50) then task.spawn(hub.publish, "news", "soon") end
  for _ = 1, r:below(3) do news:receive(0.005) end
end

function V.run(r)
  if r:chance(50) then return process.capture({ "cat" }, { input = ("i"):rep(r:below(100000)), timeout = r:pick { 0.001, 5 } }) end
  local child <close> = process.spawn({ "sleep", "60" }, {})
  if r:chance(50) then child:kill() else task.sleep(0.001) end
end

function V.datagrams()
  local a <close> = net.udp {}
  local b <close> = net.udp { bind = "127.0.0.1:0" }
  a:send_to("ping", b:address())
  b:receive_from(1)
end

function V.timers(r)
  local every <close> = setmetatable({ task.every(0.0005, function() end), task.after(r:below(3) / 1000, function() end) }, { __close = function(t)
    for _, each in ipairs(t) do
      each:cancel()
      task.shield(5, each.wait, each)
    end
  end })
  task.sleep(r:below(3) / 1000)
  return every
end

function V.names(_, at)
  local socket <close> = net.connect("localhost:" .. at:match ":(%d+)$", 1)
  socket:read(1, 0.001)
end

-- ---- all of them ----

local KINDS = {}
for name in pairs(V) do KINDS[#KINDS + 1] = name end
table.sort(KINDS)

-- One visit, drawn from r: some are cut short by a deadline, some are cancelled. Its kind, and its error if there was one.
return function(r, at)
  local kind = r:pick(KINDS)
  local ok, err
  if r:chance(20) then
    ok, err = pcall(task.deadline, r:below(20) / 2000, V[kind], r, at)
  elseif r:chance(20) then
    local handle = task.spawn(V[kind], r, at)
    task.sleep(r:below(10) / 2000)
    handle:cancel()
    handle:wait()
    ok = true
  else
    ok, err = pcall(task.deadline, 1, V[kind], r, at)
  end
  return kind, not ok and err or nil
end
