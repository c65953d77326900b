-- SPDX-License-Identifier: MIT
-- Three ways in which a listener lost its clients. Refused the memory for one connection, it never looked for another: each
-- later client waited for ever (libuv stops a listening handle whose connection was not taken). Out of descriptors, libuv
-- accepted and closed all that waited in the backlog: 98 of 150 clients, without a word. And green.net.listen closed what
-- came while nobody accepted. Clients wait in the kernel's backlog now, the log says why, and they are served when there is
-- room again.
local net = require "green.net"
local sh = require "shell"

-- Refuses the first allocation after each of the first two connections was accepted.
local REFUSE = [[
  #define _GNU_SOURCE
  #include <dlfcn.h>
  #include <stddef.h>
  #include <sys/socket.h>
  static int accepted, refuse;
  int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags) {
    int got = ((int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4"))(fd, sa, len, flags);
    refuse = got >= 0 && ++accepted <= 2;
    return got;
  }
  void *calloc(size_t n, size_t size) {
    static void *(*real)(size_t, size_t);
    static int looking;
    static char early[65536];
    static size_t used;
    if (!real && looking) { void *at = early + used; used += (n * size + 15) & ~(size_t)15; return at; } /* for dlsym */
    if (!real) { looking = 1; real = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc"); looking = 0; }
    if (refuse) { refuse = 0; return NULL; }
    return real(n, size);
  }
]]

local SERVER = [[
  local raw = require "http.raw"
  local address = ...
  local native = require "green.http.native"
  local server = native.listen(address, function() return "fine" end)
  for i = 1, 3 do
    local client <close> = raw.connect(server:address())
    client:send(raw.GET)
    print(client:answer().status)
  end
  server:abort()
]]

local function with_raw(text)
  local folder = debug.getinfo(1, "S").source:match "^@(.*)/regress/"
  if not folder:find "^/" then folder = os.getenv "PWD" .. "/" .. folder end
  return ('package.path = "%s/?.lua;" .. package.path\n'):format(folder) .. text
end

describe("a listener", function()
  for _, address in ipairs { "127.0.0.1:0", "unix:app.sock" } do
    it("that is refused memory for one connection takes it later, and all others: " .. address, function()
      local out, err = sh([[cc -shared -fPIC -o refuse.so refuse.c -ldl &&
        ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$PWD/refuse.so timeout 60 $lua server.lua ]] .. address,
        { ["refuse.c"] = REFUSE, ["server.lua"] = with_raw(SERVER) })
      assert.equal("200\n200\n200\n", out, err)
      assert.matches(" warning: [^\n]*: no connection can be accepted %(not enough memory%): clients wait\n", err)
    end)
  end

  it("out of descriptors keeps its clients waiting, says so, and serves them when there are some", function()
    local out, err = sh("ulimit -S -n 64; timeout 60 $lua server.lua", {
      ["server.lua"] = with_raw [[
        local native = require "green.http.native"
        local process = require "green.process"
        local server = native.listen("127.0.0.1:0", function() return "fine" end)
        local client = process.spawn({ "sh", "-c", "ulimit -S -n 1024; exec " .. arg[-1] .. " client.lua " .. server:address() }, { stdout = "inherit", stderr = "inherit" })
        client:wait()
        server:abort()
      ]],
      ["client.lua"] = with_raw [[
        local raw = require "http.raw"
        local address, clients, served = ..., {}, 0
        for i = 1, 150 do
          clients[i] = raw.connect(address)
          clients[i]:send(raw.GET)
        end
        for _, client in ipairs(clients) do
          local answer = client:answer()
          if answer and answer.status == 200 then served = served + 1 end
          client:close()
        end
        print(served)
      ]],
    })
    assert.equal("150\n", out, err)
    assert.matches(" warning: 127.0.0.1:%d+: no connection can be accepted %(too many open files%): clients wait\n", err)
  end)

  it("of green.net lets clients wait that nobody accepts yet", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local clients, greeted = {}, 0
    for i = 1, 1100 do clients[i] = net.connect(listener:address()) end
    for _ = 1, 1100 do
      local socket <close> = listener:accept(20)
      socket:write "x"
    end
    for _, client in ipairs(clients) do
      if client:read(1, 20) == "x" then greeted = greeted + 1 end
      client:close()
    end
    assert.equal(1100, greeted)
  end)
end)
