-- SPDX-License-Identifier: MIT
-- A C module that calls fork() and waits on both sides hung, 8 times of 8: the child shared the epoll instance of the parent, had
-- no watchdog thread but joined it at its end, and ran the other tasks of the parent, too. Now it has the task that forked, and
-- a loop of its own.
local process = require "green.process"
local shell = require "shell"

local module_c = [[
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int do_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

static int do_wait(lua_State *L) { /* pid, now or not -> exit code or minus signal; nil: not yet */
  int status = 0;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, lua_toboolean(L, 2) ? WNOHANG : 0) <= 0) return 0;
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

static int do_faults(lua_State *L) { /* pid -> pages it touched first, or wrote to and had to copy; nil: it runs still */
  struct rusage used = {0};
  if (wait4((pid_t)luaL_checkinteger(L, 1), NULL, WNOHANG, &used) <= 0) return 0;
  lua_pushinteger(L, used.ru_minflt);
  return 1;
}

static int leave_at_once(lua_State *L) { _exit((int)luaL_checkinteger(L, 1)); }
static int leave_by_c(lua_State *L) { exit((int)luaL_checkinteger(L, 1)); }

static int do_exec(lua_State *L) {
  const char *file = luaL_checkstring(L, 1);
  execl("/bin/sh", "sh", "-c", file, (char *)NULL);
  return 0;
}

static int do_call(lua_State *L) { /* below a C call that cannot yield */
  lua_call(L, 0, 0);
  return 0;
}

static int do_alarm(lua_State *L) { /* no test lasts longer, in either process */
  alarm((unsigned)luaL_checkinteger(L, 1));
  return 0;
}

int luaopen_forking(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", do_fork}, {"wait", do_wait}, {"_exit", leave_at_once}, {"exit", leave_by_c},
                                       {"exec", do_exec}, {"call", do_call}, {"alarm", do_alarm}, {"faults", do_faults}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
]]

local folder

local prelude = [[
  package.cpath = %q
  local forking, task = require "forking", require "green.task"
  forking.alarm(60)
  local function fork(child) -- in the middle of other tasks, whose timers and turns are under way
    local pid = forking.fork()
    if pid ~= 0 then return pid end
    forking.alarm(60)
    child()
  end
  local function wait(pid)
    while true do
      local code = forking.wait(pid, true)
      if code then return code end
      task.sleep(0.005)
    end
  end
]]

-- What a script that has the module says on stdout and stderr.
local function run(script) return shell("$lua x.lua", { ["x.lua"] = prelude:format(folder .. "/?.so") .. script }) end

local function says(expected, script)
  local out, err = run(script)
  assert.equal("", err)
  assert.equal(expected, out)
end

describe("a child that a C module forks", function()
  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local file <close> = assert(io.open(folder .. "/forking.c", "w"))
    file:write(module_c)
    file:close()
    local built = process.capture({ "cc", "-shared", "-fPIC", "-I/usr/include/lua5.4", folder .. "/forking.c", "-o", folder .. "/forking.so" },
      { stderr = "stdout" })
    assert.same({ 0, "" }, { built.code, built.stdout })
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  it("may leave at once", function()
    says("7\t8\n", [[
      local one, two = fork(function() forking._exit(7) end), fork(function() forking._exit(8) end)
      print(forking.wait(one), wait(two))]])
  end)

  it("ends by os.exit, with its text written, once", function()
    says("before\nchild\nchild\n3\t0\nafter\n", [[
      print "before" io.flush()
      local one = forking.wait(fork(function() print "child" os.exit(3) end))
      local two = forking.wait(fork(function() print "child" os.exit(true, true) end))
      print(one, two)
      print "after"]])
  end)

  it("closes what its task is to close, and nothing else", function()
    says("closed in the child\n0\n", [[
      local parent = true
      setmetatable({}, { __gc = function() if not parent then print "finalized" end end })
      local pid = fork(function()
        parent = false
        local x <close> = setmetatable({}, { __close = function() print "closed in the child" end })
        os.exit(0, true)
      end)
      print(forking.wait(pid))]])
  end)

  it("asks on connections of its own, and leaves its parent's to it", function()
    says("late 1\n2\nchild 3\n0\t2\tlate 1\n", [[
      local http, net = require "green.http", require "green.net"
      local listener = net.listen "127.0.0.1:0"
      local url, go, asked, count = "http://" .. listener:address() .. "/", task.channel(2), task.channel(2), 0
      local function serve(socket, number) -- says which connection it is
        for bytes in function() return socket:read(4096) end do
          local late = bytes:find "^GET /late"
          if late then asked:send(true) go:receive(20) end
          local body = (late and "late " or "") .. number
          socket:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
        end
      end
      task.spawn(function()
        while true do
          local socket = listener:accept()
          count = count + 1
          task.spawn(serve, socket, count)
        end
      end)
      local function get(path) return http.get(url .. path).body end
      local function late() -- one that is under way
        local one = task.spawn(get, "late")
        asked:receive(20)
        return one
      end
      local one = late()
      local kept = get ""
      go:send(true)
      print(one:join() .. "\n" .. kept) -- both are kept now
      io.flush()
      one = late()
      local pid = fork(function()
        print("child " .. get "")
        os.exit(0, true)
      end)
      local code = wait(pid)
      go:send(true)
      print(code, kept == get "" and kept or "another", one:join())
      os.exit(0)
    ]])
  end)

  it("ends by Ctrl-C though a command of its parent's has the terminal", function()
    says("-2\t-3\n", [[
      local process = require "green.process"
      local command = task.spawn(os.execute, "sleep 60")
      task.sleep(0)
      local function ended_by(signal)
        return wait(fork(function()
          local stat <close> = io.open "/proc/self/stat"
          process.run { "kill", "-" .. signal, stat:read "l":match "%d+" }
          task.sleep(5)
          forking._exit(1)
        end))
      end
      local one, two = task.spawn(ended_by, "INT"):join(), task.spawn(ended_by, "QUIT"):join()
      command:cancel()
      print(one, two)]])
  end)

  it("ends by exit in C though the thread pool is its parent's", function()
    says("5\t6\n", [[
      local fs = require "green.fs"
      fs.stat "/" fs.read "/etc/hostname"
      print(forking.wait(fork(function() forking.exit(5) end)), wait(fork(function() fs.read "/etc/hostname" forking.exit(6) end)))]])
  end)

  it("goes on with the script, to its end and in an error", function()
    says("child 4\nparent\n", [[
      local pid = forking.fork()
      if pid ~= 0 then assert(forking.wait(pid) == 0) print "parent" return end
      local n = 0
      for _ = 1, 4 do task.spawn(function() task.sleep(0.01) n = n + 1 end) end
      task.sleep(0.1)
      print("child " .. n)]])
    local out, err = run [[
      local pid = forking.fork()
      if pid == 0 then task.sleep(0) error "in the child" end
      print(wait(pid))]]
    assert.equal("1\n", out)
    assert.matches("in the child", err)
  end)

  it("waits on a loop of its own, while its parent blocks or waits, too", function()
    says("9\n9\nparent 3\n", [[
      local function child()
        task.sleep(0.05)
        task.spawn(task.sleep, 0.01):join()
        os.exit(9)
      end
      print(forking.wait(fork(child)))
      local ticks = 0
      local ticker = task.spawn(function() for _ = 1, 3 do task.sleep(0.01) ticks = ticks + 1 end end)
      print(wait(fork(child)))
      ticker:join()
      print("parent " .. ticks)]])
  end)

  it("waits where Lua cannot yield, on either side", function()
    says("2\n", [[
      local pid
      forking.call(function() pid = fork(function()
        forking.call(function() task.sleep(0.02) end)
        os.exit(2)
      end) end)
      forking.call(function() print(wait(pid)) end)]])
  end)

  it("talks to its parent through a command's pipe, each waiting for the other", function()
    says("from the child\nfrom the parent\n", [[
      local name = os.tmpname()
      os.remove(name)
      os.execute("mkfifo " .. name .. ".1 " .. name .. ".2")
      local pid = fork(function()
        local to, from = io.open(name .. ".1", "w"), io.open(name .. ".2")
        to:write "from the child\n" to:close()
        print(from:read())
        os.exit(0)
      end)
      local from, to = io.open(name .. ".1"), io.open(name .. ".2", "w")
      print(from:read()) io.flush()
      to:write "from the parent\n" to:close()
      wait(pid)
      os.remove(name .. ".1") os.remove(name .. ".2")]])
  end)

  it("may exec, and start commands", function()
    says("executed\n4\ncommand\n0\n", [[
      print(forking.wait(fork(function() forking.exec "echo executed; exit 4" end)))
      io.flush()
      print(wait(fork(function()
        print(io.popen "echo command":read())
        os.exit(os.execute "true")
      end)))]])
  end)

  -- A fork with 10,000 sleeping tasks took 465 ms instead of 12: the child wrote to each of them, and each write copies a page.
  it("costs no more when its parent has more tasks, timers, waiters and commands", function()
    local out, err = run [[
      local function faults() -- of a child that ends at once
        local least = math.huge
        for _ = 1, 3 do
          local pid, n = fork(function() forking._exit(0) end)
          repeat
            task.sleep(0.001)
            n = forking.faults(pid)
          until n
          least = math.min(least, n)
        end
        return least
      end
      local locked = task.semaphore(1)
      locked:acquire()
      local commands = {}
      local function populate(n)
        for i = 1, n do
          task.spawn(task.sleep, 1000 + i)
          task.spawn(locked.acquire, locked, 1000)
        end
        for _ = 1, n // 100 do task.spawn(function() forking.call(function() task.sleep(1000) end) end) end
        for _ = 1, n // 200 do table.insert(commands, task.spawn(os.execute, "exec sleep 60")) end
        task.sleep(0.2)
        collectgarbage()
      end
      populate(500)
      local few = faults()
      populate(4000)
      local many = faults()
      print(many - few < 100 and "the same" or few .. " faults, then " .. many)
      for _, command in ipairs(commands) do command:cancel() end
      for _, command in ipairs(commands) do command:wait() end
      os.exit(0)]]
    assert.equal("", err)
    assert.equal("the same\n", out)
  end)

  it("never runs the other tasks, nor those that are ready, nor those that wait in C", function()
    says("0\n" .. ("other\n"):rep(4), [[
      local go = false
      local function other() while not go do task.sleep(0.001) end io.write "other\n" end
      for _ = 1, 3 do task.spawn(other) end
      local parked = task.spawn(function() forking.call(other) end)
      task.sleep(0.01)
      for _ = 1, 3 do task.spawn(function() end) end
      local pid = fork(function()
        go = true
        task.sleep(0.1)
        local joined, err = pcall(parked.join, parked)
        assert(not joined and err.code == "ESRCH")
        assert(parked:wait() == "elsewhere" and parked:status() == "elsewhere")
        parked:cancel()
        task.sleep(0.01)
        os.exit(0)
      end)
      print(wait(pid)) io.flush()
      go = true]])
  end)

  it("ends with its task, where that is not the script", function()
    says("child\nparent 0\n", [[
      local pid
      task.spawn(function() forking.call(function()
        pid = forking.fork()
        if pid == 0 then task.sleep(0.01) print "child" end
      end) end)
      while not pid do task.sleep(0.001) end
      local code = wait(pid)
      print("parent " .. code)]])
  end)

  it("knows what its parent's tasks had left, and leaves a group of them at once", function()
    says("left\tfailed before\n0\n", [[
      local done, failed = task.spawn(function() return "left" end), task.spawn(function() error("failed before", 0) end)
      task.sleep(0.01)
      local pid
      task.group(function(group)
        local sibling = group:spawn(function() while not pid do task.sleep(0.001) end end)
        local n = forking.fork()
        if n ~= 0 then pid = n return end
        task.spawn(function() print(done:join(), select(2, pcall(failed.join, failed))) end):join()
        assert(sibling:status() == "elsewhere")
      end)
      if not pid then os.exit(0) end
      pcall(failed.join, failed)
      print(wait(pid))]])
  end)

  -- What was given to a waiter of the parent's was lost.
  it("gives what the parent's tasks wait for to its own", function()
    says("locked\tsent\n0\n", [[
      local mutex, channel = task.mutex(), task.channel()
      mutex:lock()
      for _ = 1, 3 do
        task.spawn(function() local _ <close> = mutex:lock() end)
        task.spawn(channel.receive, channel)
      end
      task.sleep(0.01)
      local pid = fork(function()
        local mine = task.spawn(function() return channel:receive(5) end)
        task.sleep(0)
        channel:send("sent", 5)
        mutex:unlock()
        local _ <close> = mutex:lock(5)
        print("locked", mine:join())
        os.exit(0)
      end)
      print(wait(pid))
      os.exit(0)]])
  end)

  it("is preempted, and its deadlines hold", function()
    says("ticks\n0\n", [[
      print(forking.wait(fork(function()
        local ticks = 0
        task.spawn(function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
        task.sleep(0)
        local began = os.clock()
        while ticks == 0 and os.clock() - began < 20 do end
        print(ticks > 0 and "ticks" or "none")
        local ok = pcall(task.deadline, 0.05, function() while os.clock() - began < 20 do end end)
        os.exit(not ok)
      end)))]])
  end)

  it("ends by a signal that its parent waits for", function()
    says("-15\n", [[
      local signal = require "green.signal"
      local waiter = task.spawn(function() signal.wait "TERM" end)
      task.sleep(0.01)
      local pid = fork(function() task.sleep(30) os.exit(0) end)
      os.execute("kill " .. pid)
      print(wait(pid))
      waiter:cancel()]])
  end)

  it("leaves its parent's servers alone: their connections, and the files of their sockets", function()
    says("child 0\nok\nok\nok\n", [[
      local app, http = require "green.app".new(), require "green.http"
      local path = os.tmpname()
      os.remove(path)
      app:get("/", function() return "ok" end)
      local server, named = app:listen "127.0.0.1:0", app:listen("unix:" .. path)
      local url = "http://" .. server:address()
      assert(http.get(url).body)
      local pid = fork(function()
        named:abort()
        server:abort()
        task.sleep(0.05)
        os.exit(0, true)
      end)
      print("child " .. wait(pid)) io.flush()
      assert(io.popen("test -S " .. path .. " && echo there"):read() == "there")
      for _ = 1, 3 do print(http.get(url).body) end
      server:finish(20) named:finish(20)]])
  end)

  it("gives no answer in its parent's place", function()
    says("parent\nparent\n2\n", [[
      local app, http = require "green.app".new(), require "green.http"
      local pids = {}
      app:get("/", function()
        local pid = forking.fork()
        if pid == 0 then return "child" end
        pids[#pids + 1] = pid
        wait(pid)
        return "parent"
      end)
      local server = app:listen "127.0.0.1:0"
      for _ = 1, 2 do print(http.get("http://" .. server:address()).body) end
      print(#pids)
      server:finish(20)]])
  end)

  it("neither ends nor awaits the commands of its parent", function()
    says("-1\tno\n0\nline\n", [[
      local process = require "green.process"
      local cat <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "pipe" })
      print(wait(fork(function()
        local killed = cat:kill()
        print(cat:wait(), killed and "yes" or "no")
        os.exit(0, true)
      end))) io.flush()
      cat.stdin:write "line\n"
      cat.stdin:close()
      io.write(cat.stdout:read "L")]])
  end)

  -- What the parent has in common with its child is not ended by it: a close said goodbye to the parent's peers, removed its
  -- temporary files and rolled back its transaction.

  it("goes on with a connection that its parent leaves to it", function()
    says("ping\n0\n", [[
      local net = require "green.net"
      local listener = net.listen "127.0.0.1:0"
      task.spawn(function()
        local peer <close> = listener:accept()
        while true do peer:write(peer:read() or error "end") end
      end)
      local socket = net.connect(listener:address())
      socket:write "before" socket:read(6)
      local pid = fork(function()
        socket:write "ping"
        print(socket:read())
        os.exit(0, true)
      end)
      socket:close()
      print(wait(pid))
      os.exit(0)]])
  end)

  it("says nothing to the peers of its parent when it closes its copies", function()
    says("0\nnot read yet\tafter\n0\nnot read yet\tafter\n", ([[
      package.path = %q .. ";" .. package.path
      local net, certificates = require "green.net", require "certificates" ()
      for _, tls in ipairs { false, true } do
        local listener = net.listen("127.0.0.1:0", { tls = tls and certificates.site or nil })
        local peer
        task.spawn(function() peer = listener:accept() peer:read(1) end)
        local socket = net.connect(listener:address(), { tls = tls and { ca = certificates.ca } or nil })
        socket:write "x"
        while not peer do task.sleep(0.001) end
        task.sleep(0.01)
        socket:write "not read yet"
        print(wait(fork(function()
          do local _ <close> = socket end
          peer:close()
          task.sleep(0.02)
          os.exit(0, true)
        end))) io.flush()
        local got = peer:read(12, 30)
        socket:write "after"
        print(got, peer:read(5, 30))
      end
      certificates:close()
      os.exit(0)]]):format((require "green.fs").realpath "tests/net" .. "/?.lua"))
  end)

  it("leaves its parent's temporary files and folders", function()
    says("0\nthere\tthere\n", [[
      local fs = require "green.fs"
      local folder, file = fs.temp_dir(), fs.temp_file()
      print(wait(fork(function()
        folder:close()
        file:close()
        local own <close> = fs.temp_dir()
        fs.write(own.path .. "/x", "x")
        os.exit(fs.stat(own.path .. "/x") and 0 or 1, true)
      end)))
      print(fs.stat(folder.path) and "there", fs.stat(file.path) and "there")
      folder:close() file:close()]])
  end)

  it("neither uses nor ends the database connections of its parent", function()
    says("SQLITE_MISUSE\t1\n0\n2\n", [[
      local fs, db = require "green.fs", require "green.db"
      local folder <close> = fs.temp_dir()
      local bank = db.connect("sqlite:" .. folder.path .. "/bank.db")
      bank:exec "CREATE TABLE t(x)"
      bank:exec "INSERT INTO t VALUES (1)"
      local code
      bank:transaction(function()
        bank:exec "INSERT INTO t VALUES (2)"
        code = wait(fork(function()
          local _, err = pcall(bank.exec, bank, "INSERT INTO t VALUES (3)")
          task.spawn(function() print(err.code, bank:value "SELECT count(*) FROM t") end):join()
          collectgarbage()
          os.exit(0, true)
        end))
      end)
      print(code)
      print(bank:value "SELECT count(*) FROM t")]])
  end)

  it("has HTTP connections of its own", function()
    says("2 connections\n0\n", [[
      local app, http = require "green.app".new(), require "green.http"
      app:get("/", function(req) return req.remote end)
      local server = app:listen "127.0.0.1:0"
      local url = "http://" .. server:address()
      assert(http.get(url).body == http.get(url).body)
      local ours = http.get(url).body
      print(wait(fork(function()
        local its = http.get(url).body
        print(its ~= ours and http.get(url).body == its and "2 connections" or "shared")
        os.exit(0, true)
      end)))
      server:finish(20)]])
  end)

  it("sends nothing to who is connected to its parent's server", function()
    says("parent\n", [[
      local app, hub, net = require "green.app".new(), require "green.hub", require "green.net"
      app:ws("/", function(socket)
        socket:subscribe "all"
        local pid = forking.fork()
        if pid == 0 then
          socket:try_send "child"
          hub.publish("all", "child")
          task.sleep(0.02)
          return
        end
        wait(pid)
        socket:send "parent"
      end)
      local server = app:listen "127.0.0.1:0"
      local socket = net.connect(server:address())
      socket:write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" ..
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      local got = ""
      repeat got = got .. socket:read(4096, 10) until got:find "parent"
      print((got:gsub("^.*\r\n\r\n", ""):gsub("[^%w]", "")))
      os.exit(0)]])
  end)
end)
