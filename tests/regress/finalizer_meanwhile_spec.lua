-- SPDX-License-Identifier: MIT
-- Pushing a value may run a collection, and that any finalizer: one that closed the listener made accept read through NULL, one
-- that read from the same socket, or closed it, made the outer read take bytes that were not there any more. A handle that
-- was collected before the finalizer that uses it was read through, too. Now C looks again after what may allocate, a
-- finalizer is refused whatever may wait, and a collected handle says so.
local fs = require "green.fs"
local net = require "green.net"
local process = require "green.process"
local raw = require "http.raw"
local task = require "green.task"

-- Runs fn, and in it, at the first allocation after `ready()`, act as a finalizer.
local function with_finalizer(act, fn)
  local ran = false
  local mode = collectgarbage("incremental", 1000, 1000, 40) -- a whole collection in one step
  finally(function()
    collectgarbage(mode)
    collectgarbage "restart"
  end)
  collectgarbage()
  collectgarbage "stop"
  setmetatable({}, { __gc = function()
    ran = true
    act()
  end })
  local results = table.pack(pcall(fn, function() collectgarbage "restart" end))
  assert.is_true(ran)
  return table.unpack(results, 1, results.n)
end

local function pair()
  local listener = net.listen "127.0.0.1:0"
  local client = net.connect(listener:address())
  local served = listener:accept(60)
  return client, served, listener
end

-- Until what was sent lies in the socket's own buffer.
local function arrived(client, served)
  served:read(1, 60) -- the rest of it came along
  return client, served
end

describe("a finalizer that runs while a result is pushed", function()
  it("may close the listener that accepts", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local _ <close> = net.connect(listener:address())
    task.sleep(0.02) -- not to be seen from here: it lies in the listener's queue
    local ok, socket = with_finalizer(function() listener:close() end, function(ready)
      ready()
      return listener:accept(60)
    end)
    if ok then socket:close() else assert.equal("ECLOSED", socket.code) end
  end)

  for what, act in pairs {
    read = function(served)
      local ok, err = pcall(served.read, served)
      assert(not ok and err.code == "EFINALIZER")
    end,
    close = function(served) served:close() end,
  } do
    it(("may %s the socket that is read"):format(what), function()
      local client, served, listener = pair()
      finally(function()
        client:close()
        served:close()
        listener:close()
      end)
      client:write("x" .. ("y"):rep(999))
      arrived(client, served)
      local problem
      local ok, bytes = with_finalizer(function()
        local fine, err = pcall(act, served)
        if not fine then problem = err end
      end, function(ready)
        ready()
        return served:read(600, 60)
      end)
      assert.is_nil(problem)
      assert.is_true(ok, tostring(bytes))
      assert.equal(("y"):rep(600), bytes)
      if what == "read" then assert.equal(399, #served:read(1000, 60)) end
    end)
  end

  it("may not take the datagram that is received", function()
    local a <close> = net.udp {}
    local b <close> = net.udp {}
    for i = 1, 2 do a:send_to(("%d"):format(i):rep(500), b:address():gsub("^0%.0%.0%.0", "127.0.0.1")) end
    task.sleep(0.02)
    local refused
    local ok, bytes = with_finalizer(function()
      local fine, err = pcall(b.receive, b)
      refused = not fine and err.code
    end, function(ready)
      ready()
      return b:receive(60)
    end)
    assert.is_true(ok, tostring(bytes))
    assert.equal("EFINALIZER", refused)
    assert.equal(("1"):rep(500), bytes)
    assert.equal(("2"):rep(500), b:receive(60))
  end)

  it("may not take the event of a watch", function()
    local folder = os.tmpname()
    os.remove(folder)
    fs.mkdir(folder)
    finally(function() fs.remove(folder, { recursive = true }) end)
    local watch <close> = require "green.fs.native".watch(folder)
    assert(io.open(folder .. "/" .. ("n"):rep(100), "w")):close()
    task.sleep(0.02)
    local refused
    local ok, name = with_finalizer(function()
      local fine, err = pcall(watch.next, watch)
      refused = not fine and err.code
      watch:close()
    end, function(ready)
      ready()
      return watch:next(60)
    end)
    assert.is_true(ok, tostring(name))
    assert.equal(("n"):rep(100), name)
    assert.equal("EFINALIZER", refused)
  end)

  it("may drain the channel that is sent to", function()
    local channel = task.channel(4)
    for i = 1, 4 do channel:send(i) end
    local drained = 0
    local ok, err = with_finalizer(function()
      while channel:try_receive() do drained = drained + 1 end
    end, function(ready)
      ready()
      channel:send(5, 2) -- its ring has to grow; there is room then, so it need not wait
    end)
    assert.is_true(ok, tostring(err))
    assert.equal(4, drained)
    assert.equal(5, channel:receive(2))
  end)
end)

describe("a handle that was collected", function()
  local made = {
    socket = function()
      local client, served, listener = pair()
      served:close()
      listener:close()
      return client, "read", "write", "shutdown", "peer", "user", "tls", "close"
    end,
    listener = function() return net.listen "127.0.0.1:0", "accept", "address", "close" end,
    udp = function() return net.udp {}, "receive", "send", "address", "peer", "close" end,
    cursor = function()
      local sqlite = require "green.db.sqlite"
      local conn = sqlite.open ":memory:"
      finally(function() conn:close() end)
      return conn:cursor "SELECT 1", "fetch", "close"
    end,
    child = function()
      local native = require "green.process.native"
      local child = native.spawn { argv = { "true" } }
      child:wait()
      return child, "pid", "wait", "kill", "close"
    end,
    pipe = function()
      local native = require "green.process.native"
      local child, pipe = native.spawn { argv = { "cat" }, stdin = "pipe" }
      finally(function() child:wait() end)
      return pipe, "read", "lines", "write", "close"
    end,
  }

  for name, make in pairs(made) do
    it("says so: a " .. name, function()
      local methods = table.pack(make())
      local handle = methods[1]
      getmetatable(handle).__gc(handle)
      for i = 2, methods.n do
        local ok, err = pcall(handle[methods[i]], handle, "x")
        if methods[i] == "close" then assert.is_true(ok, tostring(err))
        else assert.matches("collected", tostring(err), nil, true) end
      end
      assert.is_false(pcall(getmetatable(handle).__gc, 1))
    end)
  end
end)

describe("a WebSocket request", function()
  it("whose client leaves while its options are read is not accepted", function()
    local native = require "green.ws.native"
    local debug = require "green.debug"
    local before, client, err, port = debug.census().handles, nil, nil, nil
    local key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    raw.serve(function(req)
      if req.path == "/first" then return ("x"):rep(200000) end
      local options = setmetatable({}, { __index = function(_, name)
        if name ~= "protocols" then return nil end
        -- What the client has not read makes its end a reset.
        local row = ("0100007F:%04X 0100007F:%04X 01 %%x+:(%%x+)"):format(math.tointeger(req.remote:match ":(%d+)$"), port)
        raw.eventually(function() return tonumber(fs.read("/proc/self/net/tcp"):match(row) or "0", 16) > 0 end, "bytes come")
        client:kill "KILL"
        client:wait()
        client.stdin:close()
        raw.eventually(function() return debug.census().handles == before + 1 end, "the server sees the reset")
      end })
      local _
      _, err = pcall(native.accept, req, options)
      return "no"
    end, {}, function(address)
      port = math.tointeger(address:match ":(%d+)$")
      local requests = raw.get "/first" .. raw.get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n" .. key)
      client = process.spawn({ "bash", "-c", 'exec 3<>/dev/tcp/${0%:*}/${0#*:}; head -c "$1" >&3; exec sleep 600', address, tostring(#requests) }, { stdin = "pipe" })
      client.stdin:write(requests)
      raw.eventually(function() return err end, "the request ends")
      assert.equal("EPIPE", err.code)
    end)
  end)
end)
