-- SPDX-License-Identifier: MIT
-- Needs: node
local leaves_nothing = require "net.descriptors"
local net = require "green.net"
local outcome = require "outcome"
local process = require "green.process"
local sh = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local WAIT = 60 -- seconds, where something is bound to come

-- Calls fn with two sockets that are connected to each other.
local function pair(fn, any)
  return function()
    local a <close> = net.udp { bind = any or "127.0.0.1:0" }
    local b <close> = net.udp { bind = any or "127.0.0.1:0", connect = a:address() }
    a:connect(b:address())
    fn(a, b)
  end
end

describe("a datagram socket", function()
  it("sends anywhere and says where from it received", function()
    local a <close> = net.udp { bind = "127.0.0.1:0" }
    local b <close> = net.udp { bind = "127.0.0.1:0" }
    a:send_to("ping", b:address())
    local bytes, from, cut = b:receive_from(WAIT)
    assert.same({ "ping", a:address() }, { bytes, from, cut })
    b:send_to("pong\0\255", from)
    assert.equal("pong\0\255", (a:receive(WAIT)))
    assert.is_nil(a:peer())
  end)

  it("is bound anywhere by itself", function()
    local a <close>, port = net.udp(), nil
    port = a:address():match "^0%.0%.0%.0:(%d+)$"
    a:send_to("x", "127.0.0.1:" .. port)
    assert.equal("x", (a:receive(WAIT)))
  end)

  it("connected, needs no address", pair(function(a, b)
    assert.equal(a:address(), b:peer())
    b:send "ping"
    assert.same({ "ping" }, { a:receive(WAIT) })
    a:send "pong"
    assert.same({ "pong", a:address() }, { b:receive_from(WAIT) })
    assert.equal("EISCONN", failure(a.send_to, a, "x", b:address()).code)
  end))

  it("connected over IPv6", pair(function(a, b)
    assert.matches("^%[::1%]:%d+$", a:address())
    b:send(("x"):rep(65000))
    assert.equal(65000, #a:receive(WAIT))
  end, "[::1]:0"))

  it("hears only whom it is connected to, for good", pair(function(a, b)
    local c <close> = net.udp { bind = "127.0.0.1:0" }
    c:send_to("not heard", a:address())
    b:send "heard"
    assert.equal("heard", (a:receive(WAIT)))
    assert.equal("EISCONN", failure(a.connect, a, c:address()).code)
    assert.equal(b:address(), a:peer())
    assert.equal("EDESTADDRREQ", failure(c.send, c, "x").code)
  end))

  it("keeps the limits of datagrams: empty ones, the longest, and not more", pair(function(a, b)
    local longest = ("x"):rep(65507)
    a:send ""
    a:send(longest)
    assert.same({ "" }, { b:receive(WAIT) })
    assert.is_true(b:receive(WAIT) == longest)
    local err = failure(a.send, a, longest .. "x")
    assert.equal("EMSGSIZE", err.code)
    assert.equal(("net.send: %s: a datagram of 65508 bytes is too long (65507 at most)"):format(a:address()), tostring(err))
  end))

  it("says when a datagram was cut", function()
    local a <close> = net.udp { bind = "127.0.0.1:0", max = 10 }
    local b <close> = net.udp { connect = a:address() }
    for _, n in ipairs { 10, 11 } do b:send(("x"):rep(n)) end
    assert.same({ ("x"):rep(10) }, { a:receive(WAIT) })
    assert.same({ ("x"):rep(10), b:address(), true }, { a:receive_from(WAIT) })
  end)

  it("loses nothing, in order, while somebody receives", pair(function(a, b)
    local n, late = 20000, task.now() + 20 -- a slow machine sends fewer of them
    local sending = task.spawn(function()
      for i = 1, n do
        a:send(("%d "):format(i):rep(i % 50 + 1))
        local said = i % 50 == 0 and a:receive(WAIT) -- the other side keeps up
        if said == "enough" then return end
        assert(not said or said == tostring(i))
      end
    end)
    for i = 1, n do
      assert(b:receive(WAIT) == ("%d "):format(i):rep(i % 50 + 1))
      if i % 50 == 0 then
        local enough = i == n or task.now() > late
        b:send(enough and "enough" or tostring(i))
        if enough then break end
      end
    end
    sending:join()
  end))

  it("keeps what arrives while nobody receives, up to its limit, and then goes on", function()
    local a <close> = net.udp { bind = "127.0.0.1:0", queue = 10 }
    local b <close> = net.udp { connect = a:address() }
    for i = 1, 50 do b:send(tostring(i)) end -- 10 here, the rest with the kernel
    task.sleep(0.01)
    for i = 1, 50 do assert.equal(tostring(i), (a:receive(WAIT))) end
    b:send "later"
    assert.equal("later", (a:receive(WAIT)))
  end)

  it("reports that nobody is there, to who receives or sends", pair(function(a, b)
    local address = b:address()
    b:close()
    task.sleep(0.01)
    local receiving = waiting(task.spawn(failure, a.receive, a, WAIT))
    a:send "x"
    local err = receiving:join()
    assert.same({ "ECONNREFUSED", ("net.receive: %s: connection refused"):format(address) }, { err.code, tostring(err) })
    local again <close> = net.udp { bind = address, connect = a:address() }
    again:send "back"
    assert.equal("back", (a:receive(WAIT)))
  end))

  it("serves one task at a time, which is the first", pair(function(a, b)
    local receiving = waiting(task.spawn(a.receive, a, WAIT))
    assert.equal("EBUSY", failure(a.receive, a).code)
    assert.equal("EBUSY", failure(a.receive_from, a).code)
    b:send "x"
    assert.equal("x", (receiving:join()))
  end))

  it("times out and is cancelled, and can receive again", pair(function(a, b)
    local err = failure(a.receive, a, 0.005)
    assert.same({ "ETIMEDOUT", ("net.receive: %s: timed out"):format(b:address()) }, { err.code, tostring(err) })
    assert.equal("net.receive_from", failure(a.receive_from, a, 0).op)
    local receiving = waiting(task.spawn(a.receive, a))
    receiving:cancel()
    assert.equal("ECANCELED", failure(receiving.join, receiving).code)
    b:send "x"
    assert.equal("x", (a:receive(WAIT)))
  end))

  it("wakes who receives when it is closed, and refuses everything then", pair(function(a, b)
    local receiving = waiting(task.spawn(failure, a.receive, a))
    local address = a:address()
    a:close()
    a:close()
    local err = receiving:join()
    assert.same({ "ECLOSED", ("net.receive: %s: the socket was closed"):format(address) }, { err.code, tostring(err) })
    for _, use in ipairs {
      function() a:receive() end, function() a:receive_from() end, function() a:send "x" end, function() a:send_to("x", b:address()) end,
      function() a:connect(b:address()) end, function() a:join "239.1.2.3" end,
    } do
      assert.equal("ECLOSED", failure(use).code)
    end
    assert.equal(address, a:address())
  end))

  it("is closed by the collector, with what it had received", function()
    do
      local a = net.udp { bind = "127.0.0.1:0" }
      a:send_to("x", a:address())
    end
    collectgarbage()
  end)

  it("joins and leaves a multicast group", function()
    local a <close> = net.udp { multicast_interface = "127.0.0.1", multicast_ttl = 1, multicast_loop = true, reuse_address = true }
    local port = a:address():match ":(%d+)$"
    a:join("239.255.1.2", "127.0.0.1")
    a:send_to("to all", "239.255.1.2:" .. port)
    assert.equal("to all", (a:receive(WAIT)))
    a:leave("239.255.1.2", "127.0.0.1")
    a:send_to("left", "239.255.1.2:" .. port)
    a:send_to("direct", "127.0.0.1:" .. port)
    assert.equal("direct", (a:receive(WAIT)))
    assert.equal("EINVAL", failure(a.join, a, "127.0.0.1").code)
  end)

  it("broadcasts only when it was told to", function()
    local a <close> = net.udp()
    assert.equal("EACCES", failure(a.send_to, a, "x", "127.255.255.255:9").code)
    local b <close> = net.udp { broadcast = true, ttl = 3, receive_buffer = 65536 }
    local port = b:address():match ":(%d+)$"
    b:send_to("x", "127.255.255.255:" .. port)
    assert.equal("x", (b:receive(WAIT)))
  end)

  it("shares its address when both say so, and otherwise not", leaves_nothing(function()
    local a <close> = net.udp { bind = "127.0.0.1:0", reuse_address = true }
    local b <close> = net.udp { bind = a:address(), reuse_address = true }
    assert.equal(a:address(), b:address())
    local err = failure(net.udp, { bind = a:address() })
    assert.equal(("net.udp: %s: address already in use"):format(a:address()), tostring(err))
  end))

  it("refuses what is no address, no option and no text", leaves_nothing(function()
    local a <close> = net.udp { bind = "127.0.0.1:0" }
    for _, address in ipairs { "", "example.com:53", "unix:/x", "127.0.0.1", "[::1]:9" } do
      assert.equal("EINVAL", failure(a.send_to, a, "x", address).code)
    end
    assert.equal("EINVAL", failure(net.udp, { bind = "127.0.0.1:0", connect = "[::1]:1" }).code)
    assert.equal("EADDRNOTAVAIL", failure(net.udp, { bind = "192.0.2.1:0" }).code)
    assert.error_matches(function() net.udp { bnid = "x" } end, "unknown option 'bnid'")
    assert.error_matches(function() net.udp { queue = 0 } end, "queue: from 1 to 1000000 expected")
    assert.error_matches(function() net.udp { max = 65537 } end, "max: from 1 to 65536 expected")
    assert.error_matches(function() net.udp { ttl = 256 } end, "ttl: from 1 to 255 expected")
    assert.error_matches(function() a:send() end, "bad argument")
    assert.error_matches(function() a:receive(-1) end, "a timeout is a number of seconds >= 0")
  end))

  it("talks with node", function()
    local peer <close> = process.spawn({ "node", "-e", [[
      const socket = require('dgram').createSocket('udp4');
      socket.on('message', (m, from) => socket.send(m.toString().toUpperCase(), from.port, from.address));
      socket.bind(0, '127.0.0.1', () => console.log(socket.address().port));
    ]] }, { stdout = "pipe" })
    local a <close> = net.udp { connect = "127.0.0.1:" .. peer.stdout:read("n", WAIT) }
    for _, word in ipairs { "one", "two", "" } do
      a:send(word)
      assert.equal(word:upper(), (a:receive(WAIT)))
    end
    peer:kill()
  end)
end)

-- The loopback never keeps a sender waiting: preloaded system calls stand in for a network that is slower.
describe("sending where there is no room", function()
  local SENDMSG = [[
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <stdlib.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>

    static int full(void) {
      static int calls;
      return ++calls <= atoi(getenv("FULL")) ? (errno = EAGAIN, 1) : 0;
    }

    ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
      if (full()) return -1;
      return ((ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg"))(fd, message, flags);
    }

    long syscall(long number, long a, long b, long c, long d, long e, long f) { /* libuv calls sendmmsg so */
      if (number == SYS_sendmmsg && full()) return -1;
      return ((long(*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, a, b, c, d, e, f);
    }
  ]]

  local function run(full, script)
    local out, err = sh("cc -shared -fPIC -o full.so full.c -ldl && ASAN_OPTIONS=verify_asan_link_order=0 FULL=" .. full
      .. " LD_PRELOAD=$PWD/full.so $lua script.lua", { ["full.c"] = SENDMSG, ["script.lua"] = [[
        local net = require "green.net"
        local task = require "green.task"
        local a <close> = net.udp { bind = "127.0.0.1:0" }
      ]] .. script })
    assert.equal("", err)
    return out
  end

  it("waits for it", function()
    assert.equal("waited\nx\n", run(3, [[
      task.spawn(print, "waited")
      a:send_to("x", a:address())
      print((a:receive()))
    ]]))
  end)

  it("times out, is cancelled, and is closed while it waits", function()
    assert.equal("ETIMEDOUT\nECANCELED\nECLOSED\n", run(1000000000, [[
      print(select(2, pcall(a.send_to, a, "x", a:address(), 0.01)).code)
      local sending = task.spawn(a.send_to, a, "x", a:address())
      task.sleep(0.01)
      sending:cancel()
      print(select(2, pcall(sending.join, sending)).code)
      sending = task.spawn(a.send_to, a, "x", a:address())
      task.sleep(0.01)
      a:close()
      print(select(2, pcall(sending.join, sending)).code)
    ]]))
  end)
end)
