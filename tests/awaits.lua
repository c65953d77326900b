-- SPDX-License-Identifier: MIT
-- Every waiting function of greenlua, for the transparency matrix: { name, function }. The function sets up
-- what it needs, waits at least once (another task must get to run) and asserts its result. It may be called
-- from fifty tasks at once, and in any of the contexts. `finalizer`: in a finalizer it does not wait, but works.
local db = require "green.db"
local frames = require "http.frames"
local fs = require "green.fs"
local http = require "green.http"
local hub = require "green.hub"
local model = require "green.model"
local native = require "green.http.native"
local net = require "green.net"
local response = require "green.response"
local pool = require "green.pool"
local process = require "green.process"
local semaphore = require "green.semaphore"
local signal = require "green.signal"
local task = require "green.task"
local ws = require "green.ws"

package.path = package.path .. ";/tmp/?.lua" -- for modules made here

local TIMEOUT = 60 -- seconds: a matrix under sanitizers is slow

local function closing(f) return setmetatable({}, { __close = f }) end

-- A task beside the row's own. When that is interrupted, what both work on goes away: no news for the log.
local function aside(fn, ...) return task.spawn(pcall, fn, ...) end

-- Calls use(server). What ends it is made first: memory may run out in between.
local function with_server(address, handler, use)
  local server
  local _ <close> = closing(function() if server then server:abort() end end)
  server = native.listen(address, handler)
  use(server)
end

local function taken()
  local one = semaphore.new(1)
  one:try()
  return one
end

-- Calls test(socket, client) with both ends of a WebSocket. A unix socket, for its small buffers.
local function with_websocket(test)
  local socket, ready, over, path = nil, taken(), taken(), os.tmpname()
  os.remove(path)
  with_server("unix:" .. path, function(req)
    local mine <close> = ws.accept(req)
    socket = mine
    ready:release()
    over:acquire(TIMEOUT)
  end, function(server)
    local client <close> = frames.connect(server:address())
    ready:acquire(TIMEOUT)
    test(socket, client)
    over:release()
  end)
end

local ONCE = { keep_alive = false } -- a kept connection is the server's, too

-- Calls use(url) with a server that says hello.
local function serving(use)
  with_server("127.0.0.1:0", function() return "hello" end, function(server) use("http://" .. server:address()) end)
end

local PIECE = ("x"):rep(512 * 1024) -- more than a unix socket takes at once

-- A certificate for "localhost" that is its own authority, and its key; made once.
local PEM = process.capture { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
  "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "-", "-out", "-" }.stdout
local SERVER_TLS, CLIENT_TLS = { cert = PEM }, { ca = PEM, server_name = "localhost" }

-- A unix socket's address, and its path.
local function fresh()
  local path = os.tmpname()
  os.remove(path)
  return "unix:" .. path
end

-- Runs use(client, server) with both ends of a connection.
local function connected(use)
  local listener <close> = net.listen(fresh())
  local client <close> = net.connect(listener:address())
  local server <close> = listener:accept(20)
  use(client, server)
end

-- Runs use(what, client) in here with what `handler(req, give)` gives it, while the request is in progress.
local function within_request(request, handler, use)
  local given, over
  with_server(fresh(), function(req)
    return handler(req, function(what)
      given = what
      while not over do task.sleep(0.001) end
    end)
  end, function(server)
    local client <close> = net.connect(server:address())
    client:write(request)
    while not given do task.sleep(0.001) end
    use(given, client, server, function() over = true end)
    over = true
  end)
end

local POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
local function give_request(req, give) give(req) end

-- A named pipe, open at both ends: one task reads what another writes. `ends`: its writing end, and its reading end.
local function pipe(ends)
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  local _ <close> = closing(function() os.remove(path) end)
  if not ends then return assert(io.open(path, "r+")) end
  local reading = assert(io.open(path))
  return assert(io.open(path, "w")), reading
end

local function write_later(file, text)
  task.spawn(function() if io.type(file) == "file" then file:write(text):flush() end end)
end

return {
  { "db.query", function()
    local d <close> = db.connect "sqlite::memory:"
    assert(d:query("SELECT $1 AS a", 5)[1].a == 5)
  end },
  { "db.exec", function()
    local d <close> = db.connect "sqlite::memory:"
    assert(d:exec "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)" == 2)
  end },
  { "db.rows", function()
    local d <close> = db.connect "sqlite::memory:"
    local n = 0
    for row in d:rows "VALUES (1), (2)" do n = n + row.column1 end
    assert(n == 3)
  end },
  { "db.transaction", function()
    local d <close> = db.connect "sqlite::memory:"
    local seven = d:transaction(function()
      d:exec "CREATE TABLE t (v)"
      return d:value "SELECT 7"
    end)
    assert(seven == 7)
  end },
  { "db.rollback", function() -- on the connection the loop holds; then the pool resets the one it was given back
    local d <close> = db.connect "sqlite::memory:"
    d:exec "CREATE TABLE t (v)"
    local function roll_back()
      local _, err = pcall(d.transaction, d, function()
        d:exec "INSERT INTO t VALUES (1)"
        error("rolled back", 0)
      end)
      if err ~= "rolled back" then error(err, 0) end
    end
    for _ in d:rows "VALUES (1)" do roll_back() end
    roll_back()
    assert(d:value "SELECT count(*) FROM t" == 0)
  end },
  { "fs.copy", function()
    local dir <close> = fs.temp_dir()
    fs.mkdir(fs.join(dir.path, "a/b"), { parents = true })
    fs.copy(fs.join(dir.path, "a"), fs.join(dir.path, "c"), { recursive = true })
    fs.remove(fs.join(dir.path, "a"), { recursive = true })
    assert(fs.list(dir.path)[1].name == "c")
  end },
  { "fs.list", function() assert(#fs.list "/" > 0) end },
  { "fs.open", function()
    local file <close> = fs.temp_file()
    file:write "some text"
    assert(file:seek("end", -4) == 5 and file:read() == "text" and file:read() == nil)
  end },
  { "fs.open by name", function()
    local dir <close> = fs.temp_dir()
    local file <close> = fs.open(fs.join(dir.path, "f"), "w")
    file:write "text"
    file:sync()
    file:close()
  end },
  { "fs.readlink", function()
    local dir <close> = fs.temp_dir()
    fs.symlink("there", fs.join(dir.path, "a"))
    assert(fs.readlink(fs.join(dir.path, "a")) == "there")
    assert(fs.lstat(fs.join(dir.path, "a")).type == "link")
  end },
  { "fs.realpath", function() assert(fs.realpath "/." == "/") end },
  { "fs.rename", function()
    local dir <close> = fs.temp_dir()
    local a, b = fs.join(dir.path, "a"), fs.join(dir.path, "b")
    fs.touch(a)
    fs.chmod(a, 384)
    fs.utime(a, 1, 1)
    fs.rename(a, b)
    fs.link(b, a)
    assert(fs.stat(a).mode == fs.stat(b).mode and fs.stat(b).mtime == 1)
  end },
  { "fs.stat", function() assert(fs.stat("/").type == "directory") end },
  { "fs.walk", function()
    local dir <close> = fs.temp_dir()
    fs.mkdir(fs.join(dir.path, "a/b"), { parents = true })
    local n = 0
    for _ in fs.walk(dir.path) do n = n + 1 end
    assert(n == 2)
  end },
  { "fs.watch", function()
    local dir <close> = fs.temp_dir()
    local watch <close> = fs.watch(dir.path)
    aside(fs.append, fs.join(dir.path, "f"), "")
    local change = watch:next(10)
    assert(change.name == "f" and change.event == "create")
  end },
  { "fs.write", function()
    local dir <close> = fs.temp_dir()
    local path = fs.join(dir.path, "f")
    fs.write(path, "text", { sync = false })
    fs.append(path, "!")
    assert(fs.read(path) == "text!")
  end },
  { "http.server.finish", function()
    within_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", give_request, function(_, _, server, over)
      task.spawn(over)
      server:finish(20)
      assert(server:connections() == 0)
    end)
  end },
  { "io.popen close", function()
    local pipe = io.popen "sleep 0.005; exit 3"
    local ok, how, code = pipe:close()
    assert(ok == nil and how == "exit" and code == 3)
  end },
  { "io.popen flush", function()
    local pipe <close> = io.popen("sleep 0.005; cat >/dev/null", "w")
    pipe:setvbuf("full", 1 << 20)
    assert(pipe:write(("x"):rep(200000)):flush())
  end },
  { "io.popen lines", function()
    local pipe <close> = io.popen "echo a"
    for line in pipe:lines() do assert(line == "a") end
  end },
  { "io.popen read", function()
    local pipe <close> = io.popen "echo 7; echo x"
    local seven, x = pipe:read("n", "a")
    assert(seven == 7 and x == "\nx\n")
  end },
  { "io.popen write", function()
    local pipe <close> = io.popen("sleep 0.005; cat >/dev/null", "w")
    assert(pipe:write(("x"):rep(200000)) == pipe)
  end },
  { "jobs.store", function()
    local d <close> = db.connect "sqlite::memory:"
    local store = require "green.jobs.store"(d)
    assert(store:add("matrix", "1", nil, nil, 0) == 1)
    local row = store:claim("worker", { "matrix" }, 1, 60)[1]
    assert(row.args == "1" and store:renew("worker", { row.id }, 60)[row.id] == 1 and store:finish(row.id, row.attempt))
  end },
  { "model.save", function()
    local d <close> = db.connect "sqlite::memory:"
    d:exec "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
    local T = model(d, "t")
    assert(T:find(T:new { v = 3 }:save().id).v == 3)
  end },
  { "net.accept", function()
    local listener <close> = net.listen(fresh())
    local connecting = task.spawn(pcall, net.connect, listener:address())
    listener:accept(20):close()
    assert(connecting:join())
  end },
  { "net.connect", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local socket <close> = net.connect(listener:address())
    socket:shutdown()
  end },
  { "net.connect name", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local socket <close> = net.connect { host = "localhost", port = math.tointeger(listener:address():match "%d+$"), family = 4 }
    assert(socket:peer() == listener:address())
  end },
  { "net.connect tls", function()
    local listener <close> = net.listen(fresh(), { tls = SERVER_TLS })
    local socket <close> = net.connect(listener:address(), { tls = CLIENT_TLS })
    assert(socket:tls().verified)
  end },
  { "net.read", function()
    connected(function(client, server)
      aside(client.write, client, "x")
      assert(server:read() == "x")
    end)
  end },
  { "net.receive", function()
    local socket <close> = net.udp { bind = "127.0.0.1:0" }
    task.spawn(pcall, socket.send_to, socket, "x", socket:address())
    assert(socket:receive() == "x")
  end },
  { "net.receive_from", function()
    local socket <close> = net.udp { bind = "127.0.0.1:0" }
    task.spawn(pcall, socket.send_to, socket, "x", socket:address())
    assert(select(2, socket:receive_from()) == socket:address())
  end },
  { "net.resolve", function() assert(net.resolve("localhost", { family = 4 })[1]:match "^127") end },
  { "net.start_tls", function()
    connected(function(client, server)
      task.spawn(pcall, server.start_tls, server, { server = true, cert = PEM })
      client:start_tls(CLIENT_TLS)
      assert(client:tls().verified)
    end)
  end },
  { "net.tls", function()
    local listener <close> = net.listen(fresh(), { tls = SERVER_TLS })
    task.spawn(pcall, net.connect, listener:address(), { tls = CLIENT_TLS })
    local socket <close> = listener:accept(20)
    assert(socket:tls().server_name == "localhost")
  end },
  { "net.write", function()
    connected(function(client, server)
      local reading = aside(function()
        local n = 0
        while n < #PIECE do n = n + #server:read() end
      end)
      client:write(PIECE)
      assert(reading:join())
    end)
  end },
  { "out.write", function()
    within_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", function(_, give) return response.stream(give) end, function(out, client)
      local reading = aside(function()
        local n = 0
        while n < #PIECE do n = n + #client:read() end
      end)
      out:write(PIECE)
      assert(reading:join())
    end)
  end },
  { "req.body", function()
    within_request(POST, give_request, function(req, client)
      aside(client.write, client, "ab")
      assert(req:body() == "ab")
    end)
  end },
  { "req.chunks", function()
    within_request(POST, give_request, function(req, client)
      aside(client.write, client, "ab")
      for piece in req:chunks() do assert(piece == "ab") end
    end)
  end },
  { "os.execute", function()
    local ok, how, code = os.execute "exit 3"
    assert(ok == nil and how == "exit" and code == 3)
  end },
  { "pool.use", function() -- which makes, checks, resets and closes, all of them with a wait
    local made, closed = 0, 0
    local conns = pool(function()
      task.sleep(0)
      made = made + 1
      return {}
    end, {
      max = 1, wait = TIMEOUT, check_after = 0, max_idle = 1,
      check = function() task.sleep(0) return made > 1 end,
      reset = function() task.sleep(0) return true end,
      close = function() closed = closed + 1 task.sleep(0) end,
    })
    local _ <close> = conns
    assert(conns:use(function() task.sleep(0) return 7 end) == 7)
    local other = aside(conns.use, conns, function() task.sleep(0) return true end) -- the first does not pass the check
    assert(conns:use(function() return 8 end) == 8)
    other:wait()
    assert(made == 2 and closed == 1)
  end },
  { "process.capture", function()
    local got = process.capture({ "cat" }, { input = "x" })
    assert(got.code == 0 and got.stdout == "x" and got.stderr == "")
  end },
  { "process.close", function()
    process.spawn({ "sleep", "100" }):close()
  end },
  { "process.read", function()
    local child <close> = process.spawn({ "echo", "x" }, { stdout = "pipe" })
    assert(child.stdout:read "a" == "x\n")
  end },
  { "process.run", function() assert(process.run({ "false" }).code == 1) end },
  { "process.wait", function()
    local child <close> = process.spawn { "sh", "-c", "sleep 0.01; exit 1" } -- or it may have ended before anybody waits
    assert(child:wait() == 1)
  end },
  { "process.write", function()
    local child <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "null" })
    child.stdin:write(("x"):rep(200000))
  end },
  { "file:read", function()
    local p <close> = pipe()
    write_later(p, "12 rest\nlast")
    local number, line = p:read("n", "L")
    assert(number == 12 and line == " rest\n")
    assert(p:read(4) == "last")
  end },
  { "file:write", function()
    task.sleep(0) -- refused in a finalizer, where a write goes on by itself
    local writing, reading = pipe(true)
    local _ <close> = closing(function() reading:close() end)
    local p <close> = writing
    local reader = aside(reading.read, reading, 300000)
    assert(p:write(("x"):rep(300000)) == p and p:flush())
    assert(#select(2, reader:join()) == 300000)
  end },
  { "file:lines", function()
    local p <close> = pipe()
    write_later(p, "a\nb\n")
    local got = {}
    for line in p:lines() do
      got[#got + 1] = line
      if #got == 2 then break end
    end
    assert(got[1] == "a" and got[2] == "b")
  end },
  { "dofile", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write("--", ("x"):rep(300000), "\nreturn 3") -- more than is read without the pool
    file:close()
    assert(dofile(path) == 3 and assert(loadfile(path))() == 3)
    os.remove(path)
  end, finalizer = true },
  { "require", function()
    local name = os.tmpname()
    local file <close> = assert(io.open(name .. ".lua", "w"))
    file:write("--", ("x"):rep(300000), "\nreturn { 3 }")
    file:close()
    local module = name:match "[^/]+$"
    assert(package.searchpath(module, "/tmp/?.lua") == name .. ".lua")
    assert(require(module)[1] == 3)
    package.loaded[module] = nil
    os.remove(name)
    os.remove(name .. ".lua")
  end, finalizer = true },
  { "require of what another task loads", function()
    local name
    local own <close> = closing(function() if name then package.loaded[name], package.preload[name] = nil, nil end end)
    name = "tests.awaits." .. tostring(own) -- alive meanwhile: the address of what was collected is used again
    package.preload[name] = function()
      for _ = 1, 3 do task.sleep(0) end
      return { 3 }
    end
    aside(require, name)
    task.sleep(0)
    assert(require(name)[1] == 3)
  end },
  { "io.open", function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    assert(f:write("text"):flush() and f:seek("set", 1) == 1)
    assert(f:close())
    assert(os.remove(path))
  end, finalizer = true },
  { "os.rename", function()
    local path = os.tmpname()
    assert(os.rename(path, path .. "x"))
    assert(os.remove(path .. "x"))
    assert(select(3, os.remove(path)) == 2)
  end, finalizer = true },
  { "semaphore.acquire", function()
    local permits = task.semaphore(1)
    permits:acquire()
    task.spawn(permits.release, permits)
    permits:acquire(5)
    assert(not permits:try())
  end },
  { "channel.send", function() -- without capacity: until it is received
    local channel <close> = task.channel()
    local receiver = aside(channel.receive, channel)
    task.sleep(0)
    channel:send "one"
    assert(select(2, receiver:join()) == "one")
    aside(channel.receive, channel)
    channel:send "two"
  end },
  { "channel.receive", function()
    local channel <close> = task.channel(1)
    aside(channel.send, channel, "news")
    assert(channel:receive() == "news")
  end },
  { "fs.read", function() assert(#fs.read "/proc/self/status" > 0) end },
  { "http.get", function()
    serving(function(url) assert(http.get(url, ONCE).body == "hello") end)
  end },
  { "http.put", function() -- a file as the body, and one as the response
    local file <close> = fs.temp_file()
    file:write(PIECE)
    with_server("127.0.0.1:0", function(req)
      assert(#req:body() == #PIECE)
      return response.file(file.path)
    end, function(server)
      assert(#http.put("http://" .. server:address(), { body = { file = file.path }, keep_alive = false }).body == #PIECE)
    end)
  end },
  { "http.read", function() -- a body that comes piece by piece
    with_server("127.0.0.1:0", function()
      return response.stream(function(out)
        out:write "hel"
        task.sleep(0.002)
        out:write "lo"
      end)
    end, function(server)
      local got = ""
      local answer <close> = http.get("http://" .. server:address(), { stream = true, headers = ONCE.headers })
      for chunk in answer:chunks() do got = got .. chunk end
      assert(got == "hello")
    end)
  end },
  { "hub.receive", function()
    local own <close> = closing(function() end)
    local topic = tostring(own)
    local subscription <close> = hub.subscribe(topic)
    task.spawn(hub.publish, topic, "news")
    assert(subscription:receive(TIMEOUT) == "news")
  end },
  { "hub.wait", function()
    local bell, over = require "green.hub.native".shared, false
    local _ <close> = closing(function() over = true end)
    aside(function()
      repeat
        bell.ring()
        task.sleep(0.001)
      until over
    end)
    bell.wait() -- may have been rung for somebody else before
    bell.wait()
  end },
  { "signal.wait", function() -- a signal that is ignored when it comes too late
    local over
    local _ <close> = closing(function() over = true end)
    aside(function() -- again and again: one may be sent before we wait, where a task is preempted
      while not over do
        os.execute "kill -WINCH $PPID"
        task.sleep(0.005)
      end
    end)
    assert(signal.wait("USR1", "WINCH") == "WINCH")
  end },
  { "task.join", function()
    local first, second = task.spawn(function(...) return ... end, "a", nil):join()
    assert(first == "a" and second == nil)
  end },
  { "task.single", function()
    local first, second = task.single({}, function(...) task.sleep(0) return ... end, "a", nil)
    assert(first == "a" and second == nil)
  end },
  { "task.wait", function() assert(task.spawn(task.sleep, 0):wait() == "done") end },
  { "task.sleep", function()
    local before = task.now()
    task.sleep(0.0005)
    assert(task.now() - before >= 0.0005)
  end },
  { "ws.close", function()
    with_websocket(function(socket, client)
      aside(client.farewell, client)
      socket:close(4000)
      assert(socket.close_code == 4000)
    end)
  end },
  { "ws.receive", function()
    with_websocket(function(socket, client)
      aside(client.text, client, "hello")
      local message, kind = socket:receive(TIMEOUT)
      assert(message == "hello" and kind == "text")
    end)
  end },
  { "ws.send", function() -- more than the peer has room for
    with_websocket(function(socket, client)
      local reader = aside(client.expect, client, frames.BINARY)
      socket:send_binary(("x"):rep(600000))
      assert(socket.pending == 0)
      assert(#select(2, reader:join()) == 600000)
    end)
  end },
}
