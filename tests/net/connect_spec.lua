-- SPDX-License-Identifier: MIT
-- Names, and connecting to what they stand for. A preloaded getaddrinfo stands before the system's where a name has to be
-- slow or to have several addresses.
-- Needs: node
local backlog = require "net.backlog"
local fs = require "green.fs"
local leaves_nothing = require "net.descriptors"
local net = require "green.net"
local outcome = require "outcome"
local process = require "green.process"
local sh = require "shell"
local task = require "green.task"

local failure = outcome.failure

local WAIT = 60 -- seconds, where something is bound to come

local function port_of(address) return assert(math.tointeger(address:match ":(%d+)$")) end

-- A port of 127.0.0.1 where connections are neither taken nor refused: a stopped process with a full queue.
local function silent()
  local peer = process.spawn({ "node", "-e", [[
    const server = require('net').createServer();
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));
  ]] }, { stdout = "pipe" })
  local port = peer.stdout:read("n", WAIT)
  peer:kill "STOP"
  outcome.eventually(function() return fs.read(("/proc/%d/stat"):format(peer.pid)):find "%) T " end, "it is stopped")
  local clients = backlog.fill(port, 1)
  return setmetatable({ port = port }, {
    __close = function()
      for _, socket in ipairs(clients) do socket:close() end
      peer:kill "KILL"
      peer:close()
    end,
  })
end

describe("net.resolve", function()
  it("gives the addresses of a name", function()
    local found = {}
    for _, address in ipairs(net.resolve "localhost") do found[address] = true end
    assert.is_true(found["127.0.0.1"] or found["::1"])
    for _, address in ipairs(net.resolve("localhost", { family = 4 })) do assert.matches("^127%.", address) end
  end)

  it("gives numbers back as they are, at once", function()
    assert.same({ "192.0.2.7" }, net.resolve "192.0.2.7")
    assert.same({ "2001:db8::1" }, net.resolve "2001:DB8:0::1")
    assert.same({ "::1" }, net.resolve("::1", { family = 6, timeout = 0 }))
    assert.equal("ENOTFOUND", failure(net.resolve, "::1", { family = 4 }).code)
  end)

  it("names the host that is not there", function()
    for _, host in ipairs { ("a"):rep(64) .. ".test", "no such host", "no..host" } do
      local err = failure(net.resolve, host)
      assert.same({ "ENOTFOUND", "net.resolve" }, { err.code, err.op })
      assert.equal(("net.resolve: %s: no such host"):format(host), tostring(err))
    end
  end)

  it("looks many names up at once", function()
    local all = {}
    for i = 1, 100 do all[i] = task.spawn(net.resolve, "localhost") end
    for i = 1, 100 do assert.is_true(#all[i]:join() > 0) end
  end)

  it("refuses what is no name, and options it does not know", function()
    assert.error_matches(function() net.resolve "" end, "the name of a host expected")
    assert.error_matches(function() net.resolve "a\0b" end, "the name of a host expected")
    assert.error_matches(function() net.resolve(("a"):rep(256)) end, "the name of a host expected")
    assert.error_matches(function() net.resolve("a", { family = 5 }) end, "family: 4 or 6 expected")
    assert.error_matches(function() net.resolve("a", { timeout = -1 }) end, "timeout: a number of seconds >= 0 expected")
    assert.error_matches(function() net.resolve("a", { timeuot = 1 }) end, "unknown option 'timeuot'")
  end)
end)

describe("net.connect", function()
  it("looks the name up", function()
    local listener <close> = net.listen "127.0.0.1:0"
    for _, client in ipairs {
      net.connect("localhost:" .. port_of(listener:address())),
      net.connect { host = "localhost", port = port_of(listener:address()), family = 4 },
      net.connect { address = listener:address() },
      net.connect(listener:address(), { timeout = 5 }),
      net.connect(listener:address(), 5),
    } do
      local server <close> = listener:accept(WAIT)
      client:write "x"
      assert.equal("x", server:read(1, WAIT))
      assert.equal(listener:address(), client:peer())
      assert.matches("^127.0.0.1:%d+$", server:peer())
      client:close()
      assert.is_nil(client:peer())
    end
  end)

  it("names the name, and the address that refused", leaves_nothing(function()
    local listener = net.listen "127.0.0.1:0"
    local port = port_of(listener:address())
    listener:close()
    task.sleep(0.01)
    local err = failure(net.connect, { host = "localhost", port = port, family = 4 })
    assert.equal(("net.connect: localhost:%d (127.0.0.1:%d): connection refused"):format(port, port), tostring(err))
    assert.equal("ECONNREFUSED", err.code)
    err = failure(net.connect, "no host:80")
    assert.equal("net.connect: no host:80: no such host", tostring(err))
    assert.equal("ENOTFOUND", err.code)
  end))

  it("tries the next address as soon as one has failed", leaves_nothing(function()
    local listener <close> = net.listen "127.0.0.2:0"
    local port = port_of(listener:address())
    local client <close> = net.connect { host = { "::1", "127.0.0.3", "127.0.0.2" }, port = port }
    assert.equal("127.0.0.2:" .. port, client:peer())
    listener:accept(WAIT):close()
    local err = failure(net.connect, { host = { "127.0.0.3", "127.0.0.4" }, port = port })
    assert.equal("ECONNREFUSED", err.code)
    assert.matches("(127.0.0.4:" .. port .. ")", tostring(err), 1, true)
  end))

  it("tries the next address when one says nothing, and leaves that one", leaves_nothing(function()
    local hung <close> = silent()
    local listener <close> = net.listen("127.0.0.2:" .. hung.port)
    local client <close> = net.connect { host = { "127.0.0.1", "127.0.0.2" }, port = hung.port }
    assert.equal(listener:address(), client:peer())
    local server <close> = listener:accept(WAIT)
    client:write "x"
    assert.equal("x", server:read(1, WAIT))
  end))

  it("times out and is cancelled while addresses are tried, and leaves none", leaves_nothing(function()
    local hung <close> = silent()
    local to = { host = { "127.0.0.1", "127.0.0.1", "127.0.0.1" }, port = hung.port, timeout = 0.4 }
    assert.equal("ETIMEDOUT", failure(net.connect, to).code)
    to.timeout = WAIT
    local connecting = task.spawn(net.connect, to)
    repeat task.sleep(0) until connecting:status() == "waiting"
    connecting:cancel()
    assert.equal("ECANCELED", failure(connecting.join, connecting).code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.1, net.connect, to).code)
  end))

  it("refuses what says nowhere", function()
    assert.error_matches(function() net.connect {} end, "an address, or a table with address, host and port, or path expected")
    assert.error_matches(function() net.connect { host = "localhost" } end, "port: integer expected, got nil")
    assert.error_matches(function() net.connect { host = "localhost", port = 65536 } end, "port: from 0 to 65535 expected")
    assert.error_matches(function() net.connect { host = {}, port = 1 } end, "host and port")
    assert.error_matches(function() net.connect { host = "localhost", port = 1, tsl = true } end, "unknown option 'tsl'")
    assert.equal("EINVAL", failure(net.connect, { host = { "127.0.0.1", "localhost" }, port = 1 }).code)
    assert.equal("EINVAL", failure(net.connect, { path = ("x"):rep(200) }).code)
  end)

  it("reaches IPv6 by host and port", function()
    local listener <close> = net.listen { host = "::1", port = 0 }
    local client <close> = net.connect { host = "::1", port = port_of(listener:address()) }
    assert.equal(listener:address(), client:peer())
    listener:accept(WAIT):close()
  end)
end)

describe("a resolver", function()
  local RESOLVER = [[
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <netdb.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>

    typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out) {
      lookup *next = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
      if (strcmp(host, "late.test") == 0) while (access("go", F_OK) != 0) usleep(1000);
      if (strstr(host, "dead.test") || strcmp(host, "other.test") == 0) for (;;) pause();
      if (strcmp(host, "late.test") == 0) host = "127.0.0.1";
      if (strcmp(host, "again.test") == 0) return EAI_AGAIN;
      if (strcmp(host, "many.test") != 0) return next(host, port, hints, out);
      char *list = strdup(getenv("MANY")), *rest = list;
      for (char *one; (one = strsep(&rest, ",")) != NULL;) {
        if (next(one, port, hints, out) != 0) return EAI_FAIL;
        while (*out) out = &(*out)->ai_next;
      }
      free(list);
      return 0;
    }
  ]]

  -- Runs a script with it; returns what it printed.
  local function run(script, many)
    local out, err = sh([[cc -shared -fPIC -o resolver.so resolver.c -ldl && ASAN_OPTIONS=verify_asan_link_order=0 MANY="]] .. (many or "")
      .. [[" LD_PRELOAD=$PWD/resolver.so $lua script.lua]], { ["resolver.c"] = RESOLVER, ["script.lua"] = [[
        local net = require "green.net"
        local task = require "green.task"
      ]] .. script })
    assert.equal("", err)
    return out
  end

  it("that hangs is left by who times out or is cancelled, and does not hold up the end of the process", function()
    assert.equal("net.resolve: dead.test: timed out\nnet.connect: dead.test:1: timed out\nECANCELED\nECANCELED\n", run [[
      local hung = task.spawn(net.resolve, "dead.test")
      for _ = 1, 50 do task.sleep(0.001) end
      assert(hung:status() == "waiting")
      hung:cancel()
      print(select(2, pcall(net.resolve, "dead.test", { timeout = 0.01 })))
      print(select(2, pcall(net.connect, "dead.test:1", 0.01)))
      for _, waiting in ipairs { task.spawn(net.connect, "dead.test:1"), task.spawn(net.resolve, "dead.test") } do
        task.sleep(0.01)
        waiting:cancel()
        print(select(2, pcall(waiting.join, waiting)).code)
      end
    ]])
  end)

  it("that hangs does not hold up other names, nor files", function()
    assert.equal("127.0.0.1\nread\n", run [[
      for _ = 1, 20 do pcall(net.resolve, "dead.test", { timeout = 0.001 }) end
      print(net.resolve("localhost", { family = 4 })[1])
      print(#require("green.fs").read(arg[0]) > 0 and "read")
    ]])
  end)

  it("is looked up in its turn when too many hang, and can be cancelled there", function()
    assert.equal("ETIMEDOUT\t127.0.0.1\n", run [[
      local dead, late = {}, {}
      for i = 1, 64 do dead[i] = task.spawn(net.resolve, i > 8 and "d" .. i % 4 .. ".dead.test" .. i % 4 or "late.test") end
      for i = 1, 5 do late[i] = task.spawn(net.resolve, "late.test", { family = 4 }) end
      while late[5]:status() ~= "waiting" do task.sleep(0) end
      local _, err = pcall(net.resolve, "other.test", { timeout = 0.001 })
      io.open("go", "w"):close()
      late[1]:cancel()
      late[3]:cancel()
      late[5]:cancel()
      print(err.code, late[2]:join()[1])
      late[4]:join()
      for _, t in ipairs(dead) do t:cancel() end
    ]])
  end)

  it("that gives no answer is an error of its own", function()
    assert.equal("EAI_AGAIN\tnet.connect: again.test:80: the name servers gave no answer\n", run [[
      local _, err = pcall(net.connect, "again.test:80")
      print(err.code, err)
    ]])
  end)

  it("gives many addresses, which are tried with the families in turn", function()
    local hung <close> = silent()
    local script = ([[
      local a <close> = net.listen "127.0.0.2:%d"
      local b <close> = net.listen "[::1]:%d"
      local client <close> = net.connect "many.test:%d"
      print(client:peer())
      for _, address in ipairs(net.resolve "many.test") do print(address) end
    ]]):format(hung.port, hung.port, hung.port)
    assert.equal(("[::1]:%d\n127.0.0.1\n127.0.0.2\n::1\n"):format(hung.port), run(script, "127.0.0.1,127.0.0.2,::1"))
  end)
end)
