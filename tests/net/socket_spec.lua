-- SPDX-License-Identifier: MIT
local net = require "green.net"
local outcome = require "outcome"
local sh = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local LARGE = ("0123456789abcdef"):rep(1024 * 1024) -- more than the kernel takes by itself

-- Calls fn with both ends of a connection, and the listener.
local function connected(fn, address)
  local listener <close> = net.listen(address or "127.0.0.1:0")
  local client <close> = net.connect(listener:address())
  local server <close> = listener:accept(20)
  fn(client, server, listener)
end

local function read_all(socket)
  local pieces = {}
  for bytes in function() return socket:read(65536, 20) end do pieces[#pieces + 1] = bytes end
  return table.concat(pieces)
end

-- Writes more than the kernel takes, in a task of its own that waits now.
local function stuck_writer(socket) return waiting(task.spawn(function() while true do socket:write(LARGE, 60) end end)) end

local function a_socket(kind, address_of)
  describe(kind, function()
    local address, path
    before_each(function() address, path = address_of() end)
    after_each(function() if path then os.remove(path) end end)

    local function pair(fn)
      return function() connected(fn, address) end
    end

    it("takes an empty string before anything else was written", pair(function(client, server)
      client:write ""
      client:write "x"
      assert.equal("x", server:read(10, 20))
    end))

    it("carries bytes both ways", pair(function(client, server)
      client:write "ping"
      assert.equal("ping", server:read())
      server:write "pong\0\255"
      assert.equal("pong\0\255", client:read())
    end))

    it("gives at most as many bytes as asked for, and the rest later", pair(function(client, server)
      client:write "123456"
      assert.equal("1", server:read(1))
      assert.equal("23", server:read(2))
      assert.equal("456", server:read(100))
      assert.equal("ETIMEDOUT", failure(server.read, server, 1, 0.005).code)
    end))

    it("carries what does not fit, while the other side keeps up", pair(function(client, server)
      local sending = task.spawn(function()
        client:write(LARGE, 20)
        client:shutdown()
      end)
      assert.is_true(read_all(server) == LARGE)
      sending:join()
    end))

    it("carries both directions at once", pair(function(client, server)
      local all = {}
      for _, socket in ipairs { client, server } do
        all[#all + 1] = task.spawn(function()
          socket:write(LARGE, 20)
          socket:shutdown()
        end)
        all[#all + 1] = task.spawn(function() assert(read_all(socket) == LARGE) end)
      end
      for _, one in ipairs(all) do one:join() end
    end))

    it("ends with nil, again and again", pair(function(client, server)
      client:write "last"
      client:close()
      assert.equal("last", server:read())
      assert.is_nil(server:read())
      assert.is_nil(server:read())
    end))

    it("may be shut down, also twice, and then still reads", pair(function(client, server)
      client:write "question"
      client:shutdown()
      client:shutdown()
      assert.equal("EPIPE", failure(client.write, client, "more").code)
      assert.equal("question", read_all(server))
      server:write "answer"
      client:shutdown()
      assert.equal("answer", client:read())
      server:close()
      assert.is_nil(client:read())
    end))

    it("delivers what was written before close, even when it is garbage then", pair(function(_, _, listener)
      local function leave()
        local client = net.connect(listener:address())
        pcall(client.write, client, LARGE, 0.005)
        client:close()
      end
      leave()
      collectgarbage()
      collectgarbage()
      local other <close> = listener:accept(20)
      assert.equal(#LARGE, #read_all(other))
    end))

    it("wakes who reads when it is closed", pair(function(client)
      local reader = waiting(task.spawn(function() return failure(client.read, client) end))
      client:close()
      local err = reader:join()
      assert.equal("ECLOSED", err.code)
      assert.matches("^net.read: .+: the socket was closed$", tostring(err))
    end))

    it("wakes who writes when it is closed", pair(function(client, server)
      local writer = stuck_writer(client)
      client:close()
      assert.equal("ECLOSED", failure(writer.join, writer).code)
      local reading = task.spawn(read_all, server)
      assert.is_true(#reading:join() > 0)
    end))

    it("refuses everything once it is closed", pair(function(client)
      client:close()
      client:close()
      client:shutdown()
      assert.equal("ECLOSED", failure(client.read, client).code)
      assert.equal("ECLOSED", failure(client.write, client, "x").code)
    end))

    it("has one reader and one writer", pair(function(client, server)
      local reader, writer = waiting(task.spawn(client.read, client)), stuck_writer(client)
      assert.equal("EBUSY", failure(client.read, client).code)
      assert.equal("EBUSY", failure(client.write, client, "x").code)
      server:write "x"
      assert.equal("x", reader:join())
      server:close()
      assert.is_false((pcall(writer.join, writer)))
    end))

    it("keeps what came for the task that waited first", pair(function(client, server)
      local first, second
      local reader = waiting(task.spawn(function() first = client:read() end))
      server:write "x"
      repeat
        local ok, err = pcall(client.read, client, 1, 0)
        second = ok and err or err.code
        task.sleep(0)
      until first
      assert.equal("x", first)
      assert.not_equal("x", second)
      reader:join()
    end))

    it("times out and can be read again", pair(function(client, server)
      local err = failure(client.read, client, 1, 0.005)
      assert.equal("ETIMEDOUT", err.code)
      assert.matches("^net.read: .+: timed out$", tostring(err))
      server:write "late"
      assert.equal("late", client:read())
    end))

    it("times out when the other side does not read", pair(function(client)
      local err
      repeat
        local ok, e = pcall(client.write, client, LARGE, 0.01)
        err = not ok and e
      until err
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("net.write", err.op)
    end))

    it("is cancelled with its task", pair(function(client)
      local reader = task.spawn(client.read, client)
      task.sleep(0)
      reader:cancel()
      assert.equal("ECANCELED", failure(reader.join, reader).code)
      assert.equal("ETIMEDOUT", failure(client.read, client, 1, 0.001).code) -- the place is free again
    end))

    it("tells a writer that the other side is gone", pair(function(client, server)
      local writer = stuck_writer(client)
      server:close()
      local err = failure(writer.join, writer)
      assert.is_truthy(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
      assert.is_false((pcall(client.write, client, "x")))
    end))

    it("is closed by the collector", function()
      local listener <close> = net.listen(address)
      local other
      do
        local client = net.connect(listener:address())
        other = listener:accept(20)
        client:write "x"
      end
      collectgarbage()
      collectgarbage()
      assert.equal("x", other:read())
      assert.is_nil(other:read(1, 20))
      other:close()
    end)
  end)
end

a_socket("a TCP socket", function() return "127.0.0.1:0" end)
a_socket("a unix socket", function()
  local path = os.tmpname()
  os.remove(path)
  return "unix:" .. path, path
end)

describe("net.connect", function()
  it("names the address that refuses", function()
    local listener = net.listen "127.0.0.1:0"
    local address = listener:address()
    listener:close()
    task.sleep(0)
    local err = failure(net.connect, address)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("net.connect", err.op)
    assert.equal(("net.connect: %s: connection refused"):format(address), tostring(err))
  end)

  it("names the path where nothing is", function()
    local err = failure(net.connect, "unix:/proc/nowhere/at/all")
    assert.equal("net.connect: unix:/proc/nowhere/at/all: there is no folder /proc/nowhere/at", tostring(err))
  end)

  it("with no time at all connects at once or times out, and leaves nothing", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local ok, result = pcall(net.connect, listener:address(), 0)
    if ok then result:close() else assert.equal("ETIMEDOUT", result.code) end
  end)

  it("is cancelled with its task, and leaves no connection", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local connecting = task.spawn(net.connect, listener:address())
    task.sleep(0)
    connecting:cancel()
    local before, connection = pcall(connecting.join, connecting)
    if before then return connection:close() end
    local accepted, other = pcall(listener.accept, listener, 0.02)
    if not accepted then return end
    local read, got = pcall(other.read, other, 1, 20) -- the kernel had connected them
    other:close()
    assert.is_true(read and got == nil or not read and got.code == "ECONNRESET")
  end)

  it("refuses what is no address, and what is no time", function()
    for _, address in ipairs { "", "nowhere", "127.0.0.1", "127.0.0.1:http", "[::1", "unix:", "127.0.0.1:80\0", "[localhost]:80", ":80" } do
      local err = failure(net.connect, address)
      assert.equal("EINVAL", err.code)
      assert.equal("net.connect: " .. address:gsub("%z.*", ""), tostring(err):sub(1, #("net.connect: " .. address:gsub("%z.*", ""))))
    end
    assert.error_matches(function() net.connect() end, "bad argument #1")
    assert.error_matches(function() net.connect("127.0.0.1:1", -1) end, "bad argument #2")
    assert.error_matches(function() net.connect("127.0.0.1:1", "x") end, "bad argument #2")
  end)

  it("reaches IPv6", function()
    connected(function(client, server)
      client:write "six"
      assert.equal("six", server:read())
    end, "[::1]:0")
  end)
end)

describe("net.listen", function()
  it("keeps connections until somebody takes them", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local clients = {}
    for i = 1, 50 do
      clients[i] = net.connect(listener:address())
      clients[i]:write(tostring(i))
    end
    for i = 1, 50 do
      local server <close> = listener:accept(20)
      assert.equal(tostring(i), server:read())
      clients[i]:close()
    end
  end)

  it("wakes who accepts when it is closed, and closes what nobody took", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local address = listener:address()
    local accepting = waiting(task.spawn(function() return failure(listener.accept, listener) end))
    assert.equal("EBUSY", failure(listener.accept, listener).code)
    listener:close()
    local err = accepting:join()
    assert.equal("ECLOSED", err.code)
    assert.equal(("net.accept: %s: the listener was closed"):format(address), tostring(err))
    assert.equal("ECLOSED", failure(listener.accept, listener).code)
    assert.equal(address, listener:address())

    local other = net.listen "127.0.0.1:0"
    local client <close> = net.connect(other:address())
    task.sleep(0.005)
    other:close()
    local ok, bytes = pcall(client.read, client)
    assert.is_true(not ok or bytes == nil)
  end)

  it("times out and is cancelled, and can accept again", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local err = failure(listener.accept, listener, 0.005)
    assert.same({ "ETIMEDOUT", ("net.accept: %s: timed out"):format(listener:address()) }, { err.code, tostring(err) })
    local accepting = task.spawn(listener.accept, listener)
    task.sleep(0)
    accepting:cancel()
    assert.equal("ECANCELED", failure(accepting.join, accepting).code)
    local client <close> = net.connect(listener:address())
    local server <close> = listener:accept(20)
    client:write "x"
    assert.equal("x", server:read())
  end)

  it("names the address that is in use", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local err = failure(net.listen, listener:address())
    assert.equal(("net.listen: %s: address already in use"):format(listener:address()), tostring(err))
  end)
end)

describe("a script that ends", function()
  it("still sends what it wrote, even to a slow reader", function()
    local out, err = sh("$lua reader.lua & while ! [ -S here.sock ]; do sleep 0.01; done; $lua writer.lua; echo exit $?; wait", {
      ["reader.lua"] = [[
        local socket = require("green.net").listen "unix:here.sock":accept(60)
        socket:read(1)
        require("green.task").sleep(0.1)
        local last = ""
        for bytes in function() return socket:read() end do last = (last .. bytes):sub(-7) end
        print(last)
      ]],
      ["writer.lua"] = [[
        local connected, socket
        repeat connected, socket = pcall(require("green.net").connect, "unix:here.sock") until connected -- it is there, and maybe does not listen yet
        for i = 1, 1000 do
          if not pcall(socket.write, socket, ("x"):rep(65536), 0.01) then break end
        end
        pcall(socket.write, socket, "the end", 0)
        socket:close()
      ]],
    })
    assert.equal("", err)
    assert.matches("the end\n", out)
    assert.matches("exit 0\n", out)
  end)
end)
