-- SPDX-License-Identifier: MIT
-- 64 lookups that hung made every other name wait for seconds, localhost for one, whose address nobody has to be asked for; and
-- a resolver without a descriptor to open its files with said that there is no such host. Names the machine knows by itself have
-- threads of their own, one domain that hangs gets only some of the others, and being out of descriptors is told as that.
local sh = require "shell"

local RESOLVER = [[
  #define _GNU_SOURCE
  #include <dlfcn.h>
  #include <fcntl.h>
  #include <netdb.h>
  #include <string.h>
  #include <unistd.h>

  typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

  int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out) {
    lookup *next = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (host && strstr(host, "dead.")) for (;;) pause();
    if (host && strstr(host, "quick.")) host = "127.0.0.9";
    if (host && strcmp(host, "files.test") == 0) { /* as the system's when its files cannot be opened */
      int fd = open("/etc/hosts", O_RDONLY);
      if (fd < 0) return EAI_NONAME;
      close(fd);
      host = "127.0.0.8";
    }
    return next(host, port, hints, out);
  }
]]

local function run(script)
  local out, err = sh([[ulimit -n 256; cc -shared -fPIC -o resolver.so resolver.c -ldl && ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$PWD/resolver.so $lua script.lua]],
    { ["resolver.c"] = RESOLVER, ["script.lua"] = [[
      local net = require "green.net"
      local task = require "green.task"
      local hung = {}
      local function hang(n, name)
        for i = 1, n do hung[#hung + 1] = task.spawn(net.resolve, name:format(i)) end
        task.sleep(0)
      end
      local function over() for _, t in ipairs(hung) do t:cancel() end end
    ]] .. script })
  assert.equal("", err)
  return out
end

describe("while lookups hang", function()
  it("names that need no network are answered", function()
    assert.equal("127.0.0.1\n127.0.0.1\n127.0.0.1\ttrue\n127.0.0.1\n", run [[
      for d = 1, 4 do hang(50, "n%d.dead.d" .. d) end
      print(net.resolve("localhost", { family = 4, timeout = 30 })[1])
      print(net.resolve("LOCALHOST.", { family = 4, timeout = 30 })[1])
      local found = {}
      for _, address in ipairs(net.resolve("app.localhost", { timeout = 30 })) do found[address] = true end
      print(found["127.0.0.1"] and "127.0.0.1", found["::1"])
      local listener <close> = net.listen "127.0.0.1:0"
      local socket <close> = net.connect("app.localhost:" .. listener:address():match "%d+$", 30)
      print(socket:peer():match "^(.*):")
      over()
    ]])
  end)

  it("other domains are", function()
    assert.equal("127.0.0.9\n127.0.0.9\n", run [[
      hang(500, "n%d.dead.test")
      print(net.resolve("quick.example", { timeout = 30 })[1])
      print(net.resolve("www.quick.example.", { timeout = 30 })[1])
      over()
    ]])
  end)

  it("and all names again when they have ended", function()
    assert.equal("200\n", run [[
      hang(64, "dead.test")
      over()
      local got = {}
      for i = 1, 200 do got[i] = task.spawn(net.resolve, ("n%d.quick.test"):format(i), { timeout = 20 }) end
      local n = 0
      for i = 1, 200 do n = n + (got[i]:join()[1] == "127.0.0.9" and 1 or 0) end
      print(n)
    ]])
  end)
end)

describe("a resolver without descriptors", function()
  it("says that", function()
    assert.equal("EMFILE\n127.0.0.8\n", run [[
      pcall(net.resolve, "quick.test") -- what is opened once is open
      local seen = {}
      for free = 0, 24 do -- some of these leave the lookup what it needs itself, and the system's resolver nothing
        local files = {}
        repeat
          local file = io.open "/dev/null"
          files[#files + 1] = file
        until not file
        for _ = 1, free do table.remove(files):close() end
        local ok, got = pcall(net.resolve, "files.test")
        for _, file in ipairs(files) do file:close() end
        local what = ok and got[1] or got.code
        if not seen[what] then print(what) end
        seen[what] = true
      end
    ]])
  end)
end)
