-- SPDX-License-Identifier: MIT
-- Steps that use every kind of operation there is (beside some programs, each row of the matrix), each run again and again and interrupted in its 1st, 2nd, ... last wait:
-- by a cancel, and by the end of its time. Each time all that the host counts, and the open file descriptors, are
-- back where they were.
-- Needs: databases
local app = require "green.app"
local awaits = require "awaits"
local db = require "green.db"
local debug = require "green.debug"
local frames = require "http.frames"
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local postgres = require "green.db.driver.postgres"
local process = require "green.process"
local redis = require "green.redis"
local response = require "green.response"
local start = require "peers.databases"
local task = require "green.task"

local TURNS = 2000 -- connections take some until they are closed

local steps = {}

function steps.tasks()
  task.sleep(0)
  assert(task.spawn(function() task.sleep(0) return 1 end):join() == 1)
  task.spawn(task.sleep, 0):wait()
  task.group(function(g)
    g:spawn(task.sleep, 0)
    g:spawn(function() g:spawn(task.sleep, 0) task.sleep(0) end)
  end)
  assert(task.map({ 1, 2, 3 }, function(v) task.sleep(0) return v end, { max = 2 })[3] == 3)
  assert(task.race { function() task.sleep(1000) end, function() task.sleep(0) return 2 end } == 2)
  table.sort({ 2, 1 }, function(a, b) task.sleep(0) return a < b end)
  coroutine.wrap(function() task.sleep(0) end)()
  task.shield(5, task.sleep, 0)
end

function steps.channels()
  task.group(function(g)
    local c = task.channel()
    g:spawn(function() assert(c:receive() + c:receive() == 3) end)
    c:send(1)
    c:send(2)
    g:spawn(function()
      for i = 1, 3 do c:send(i) end
      c:close()
    end)
    local sum = 0
    for v in c do sum = sum + v end
    assert(sum == 6)
  end)
end

local servers
setup(function() servers = start "redis postgres" end)
teardown(function() servers:close() end)

function steps.redis()
  local client <close> = redis.connect("redis://127.0.0.1:" .. servers.redis.port, { timeout = 60 })
  assert(client:set("a", 1) == "OK")
  assert(client:pipeline(function(p) p:get "a" end)[1] == "1")
  assert(client:blpop("nothing", 0.001) == nil)
  local news <close> = client:subscribe "news"
  client:publish("news", "x")
  assert(news:receive().payload == "x")
end

function steps.locks()
  task.group(function(g)
    local m, permits = task.mutex(), task.semaphore(1)
    for _ = 1, 2 do
      g:spawn(function()
        local _ <close> = permits:acquire()
        local _ <close> = m:lock()
        task.sleep(0)
      end)
    end
    task.sleep(0)
    local _ <close> = permits:acquire()
    local _ <close> = m:lock()
    task.sleep(0)
  end)
end

function steps.sockets()
  local listener <close> = net.listen "127.0.0.1:0"
  task.group(function(g)
    local socket <close> = net.connect(listener:address())
    local peer <close> = listener:accept()
    g:spawn(function() peer:write(peer:read():upper()) end)
    socket:write "hello"
    assert(socket:read() == "HELLO")
  end)
end

local PEM = process.capture { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
  "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "-", "-out", "-" }.stdout

function steps.secrets()
  local listener <close> = net.listen("127.0.0.1:0", { tls = { cert = PEM } })
  task.group(function(g)
    local socket <close> = net.connect(listener:address(), { tls = { ca = PEM, server_name = "localhost" } })
    local peer <close> = listener:accept()
    g:spawn(function()
      assert(peer:tls().server_name == "localhost")
      peer:write(peer:read():upper())
    end)
    socket:write "hello"
    assert(socket:read() == "HELLO")
  end)
end

function steps.upgrades()
  local listener <close> = net.listen "127.0.0.1:0"
  task.group(function(g)
    local socket <close> = net.connect("localhost:" .. listener:address():match "%d+$")
    local peer <close> = listener:accept()
    -- Our side breaks the connection off when it is interrupted, and the other side may see that before we are told.
    local other = g:spawn(pcall, peer.start_tls, peer, { server = true, cert = PEM })
    socket:start_tls { ca = PEM }
    assert(other:join())
    assert(socket:tls().verified)
  end)
end

function steps.datagrams()
  local socket <close> = net.udp { bind = net.resolve "127.0.0.1"[1] .. ":0" }
  task.group(function(g)
    g:spawn(function()
      task.sleep(0)
      socket:send_to("hello", socket:address())
    end)
    assert(socket:receive() == "hello")
  end)
  assert(net.resolve "localhost"[1])
end

function steps.database(at)
  local d <close> = db.connect("sqlite:" .. at.file)
  d:exec "DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
  d:transaction(function()
    d:query("INSERT INTO t (v) VALUES ($1), ($2)", 1, 2)
    pcall(d.transaction, d, function()
      d:exec "INSERT INTO t (v) VALUES (9)"
      error "rolled back"
    end)
  end)
  local sum = 0
  for row in d:rows "SELECT v FROM t" do sum = sum + row.v end
  assert(sum == 3)
end

function steps.postgres()
  local d <close> = db.connect(servers.postgres.url)
  d:exec "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v int)"
  d:transaction(function()
    for i = 1, 3 do d:query("INSERT INTO t VALUES ($1, $1) RETURNING id", i) end
    pcall(d.transaction, d, function()
      d:exec "INSERT INTO t VALUES (1, 9)"
    end)
  end)
  local sum = 0
  for row in d:rows("SELECT v FROM t WHERE id = ANY($1)", { 1, 2 }) do sum = sum + row.v end
  assert(sum == 3)
  d:pin(function() d:exec "SET work_mem = '1MB'" end)
  assert(d:value "SHOW work_mem" ~= "1MB")
  assert(d:copy_in("COPY t FROM STDIN", { { 4, 4 }, { 5, 5 } }) == 2)
  local n = 0
  for line in d:copy_out "COPY t TO STDOUT" do n = n + #line end
  assert(n == 20)
  local one <close> = d:listen "a"
  d:notify("a", "x")
  assert(one:receive(60).payload == "x")
  local _, dial = postgres.dialler(servers.postgres.url, { timeout = 30, prepare = true })
  local conn = dial() -- as the task has one that keeps db:listen's
  local _ <close> = setmetatable({}, { __close = function() conn:close() end })
  conn:attend()
  conn:exec(30, "LISTEN b")
  d:notify("b", "y")
  assert(conn:notification(60) == "b")
end

function steps.files(at)
  assert(fs.stat(at.file).type == "file")
  assert(#fs.list "/" > 0 and fs.realpath "/" == "/")
  assert(#fs.read(arg[0]) > 0)
end

function steps.requests(at)
  local body = ("y"):rep(100000)
  assert(http.post("http://" .. at.address .. "/echo", { body = body }).body == body)
  assert(#http.get("http://" .. at.address .. "/stream").body == 3000)
end

function steps.streams(at)
  local answer <close> = http.get("http://" .. at.address .. "/stream", { stream = true })
  local n = 0
  for chunk in answer:chunks() do n = n + #chunk end
  assert(n == 3000)
end

function steps.websocket(at)
  local client = frames.connect(at.address, { path = "/ws" })
  local _ <close> = setmetatable({}, { __close = function() client:close() end })
  client:text "hi"
  assert(client:message() == "hi")
end

for _, row in ipairs(awaits) do steps[row[1]] = row[2] end

-- The server's side: a handler is cancelled when the client, interrupted, goes away.
local function application()
  local a = app.new { cancel_on_disconnect = true }
  a:post("/echo", function(req) return req:body() end)
  a:get("/stream", function()
    return response.stream(function(out)
      for _ = 1, 3 do
        out:write(("x"):rep(1000))
        task.sleep(0)
      end
    end)
  end)
  a:ws("/ws", function(socket)
    for message in socket:messages() do socket:send(message) end
  end)
  return a
end

local function descriptors() return #fs.list "/proc/self/fd" end

local function difference(before)
  collectgarbage()
  for name, count in pairs(debug.census()) do
    local more = count > before[name]
    local fewer = count < before[name] and name ~= "handles" -- a kept connection may have been closed
    if more or fewer then return ("%s %d -> %d"):format(name, before[name], count) end
  end
end

local function check_restored(before, fds, what)
  local left
  for _ = 1, TURNS do
    local now = descriptors()
    left = difference(before) or now > fds and ("open file descriptors %d -> %d"):format(fds, now)
    if not left then return end
    task.sleep(0.001)
  end
  error(("%s: left behind: %s"):format(what, left), 0)
end

local interrupted = {} -- names of the operations that were

-- True: it came to its end before it was interrupted.
local function run(step, at, n, how)
  local left, hit
  local t = task.spawn(function()
    debug.cancel_at(n, how)
    local _ <close> = setmetatable({}, { __close = function() left, hit = debug.cancel_at(0) end })
    step(at)
  end)
  local ok, err = pcall(t.join, t, 20)
  if hit then interrupted[hit] = true end
  local code = how == "cancel" and "ECANCELED" or "EDEADLINE"
  if ok and left > 0 then return true end
  assert(ok or type(err) == "table" and err.code == code, ("wait %d: %s"):format(n, tostring(err)))
  return false
end

-- What waits too seldom to be made to here: datagrams go out at once on loopback, the names of modules are in the kernel's
-- cache, a seek waits only behind another task's read, print is the runner's own, the prompt's keys need a terminal (terminal_spec.lua
-- has Ctrl-C in each of its waits), and an object of a C module needs one (libc/object_spec.lua).
local UNSEEN = { ["net.send"] = true, ["net.send_to"] = true, ["package.searchpath"] = true, ["file:seek"] = true, print = true,
  ["terminal:read"] = true, ["libc.object"] = true }

-- Every operation there is, by its declaration in the source.
local function operations()
  local names = {}
  local list <close> = assert(io.popen "grep -rlE 'gl_(op|read_)type [a-z_]+ =' host --include=*.c")
  for path in list:lines() do
    local text = fs.read(path)
    for value in text:gmatch "const gl_%w+_?type [%w_]+ = ([^;]+);" do
      local name = value:match '"([^"]+)"' or text:match('#define ' .. value:match "[%u_]+" .. ' "([^"]+)"')
      names[#names + 1] = assert(name, value)
    end
  end
  return names
end

describe("interrupted in any wait,", function()
  local at, server = {}, nil

  setup(function()
    at.file = os.tmpname()
    assert(io.popen("sleep 0.01; echo x"):read("a") == "x\n") -- the host's descriptor for what is waited for is there
  end)
  teardown(function() os.remove(at.file) end)

  for name, step in pairs(steps) do
    for _, how in ipairs { "cancel", "deadline" } do
      it(("%s give all back (%s)"):format(name, how), function()
        local idle = debug.census()
        server = application():listen "127.0.0.1:0"
        finally(function() server:abort() end)
        at.address = server:address()
        task.spawn(step, at):join() -- what is made once is made, and one connection is kept
        while debug.census().ops > idle.ops or debug.census().tasks > idle.tasks do task.sleep(0) end
        local before, fds = debug.census(), descriptors()
        local n = 0
        repeat
          n = n + 1
          local complete = run(step, at, n, how)
          check_restored(before, fds, ("wait %d"):format(n))
        until complete or n > 500
        assert.is_true(n > 1 and n <= 500)
      end)
    end
  end

  it("all kinds of operations there are", function()
    local names, missing = operations(), {}
    for _, name in ipairs(names) do
      if not interrupted[name] and not UNSEEN[name] then missing[#missing + 1] = name end
    end
    assert.is_true(#names > 60)
    assert.same({}, missing)
  end)
end)
