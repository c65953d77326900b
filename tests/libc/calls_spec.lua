-- SPDX-License-Identifier: MIT
-- host/libc/: every call of libc that it takes over, in several places, with each way in which the call can end.
require "helper"
local backlog = require "net.backlog"
local cross = require "libc.cross"
local green = require "green"
local outcome = require "outcome"
local p = require "libc.probe"
local shell = require "shell"
local task = require "green.task"

local waiting = outcome.waiting
local IN = 1
local WUNTRACED, P_PID, P_ALL = 2, 1, 0

local function pair()
  local a, b = p.pair()
  return { a = a, b = b, wait = a, wake = function() p.send(b, "x") end }
end

local function pipe()
  local r, w = p.pipe()
  return { a = r, b = w, wait = r, wake = function() p.write(w, "x") end }
end

-- A socket whose other side takes nothing, so that a mebibyte is never sent.
local big = ("x"):rep(1 << 20)
local function full()
  local a, b = p.pair()
  return { a = a, b = b, wait = a, whole = #big, wake = function() p.drain(0, b, #big) end }
end

local function full_pipe()
  local r, w = p.pipe()
  return { a = w, b = r, wait = w, whole = #big, wake = function() p.drain(0, r, #big) end }
end

local function listener()
  local l, port = p.listen()
  return { a = l, wait = l, wake = function(s)
    s.b = p.socket()
    p.nonblock(s.b)
    p.connect(s.b, port)
  end }
end

-- A listener whose queue is full: the kernel drops what a connect sends, which tries again after a second, and then finds room.
local function crowd()
  local l, port = p.listen(0)
  local s = { a = l, c = p.socket(), others = { p.socket() } }
  p.connect(s.others[1], port)
  backlog.await(port, 1)
  s.port, s.wait = port, s.c
  s.wake = function()
    for _ = 1, 2 do s.others[#s.others + 1] = p.accept(l) end
  end
  return s
end

-- For what makes a descriptor.
local function kept(s, fd, err)
  s.c = fd
  return fd, err
end

-- A child that ends when its input does, with 7.
local function child()
  local r, w = p.pipe()
  local state = { a = r, b = w, pid = p.spawn("read x; exit 7", r) }
  function state.wake()
    p.close(w)
    state.b = nil
  end
  function state.done()
    p.kill(state.pid)
    p.reap(state.pid)
  end
  return state
end

-- A shell command that ends when somebody has written into a fifo.
local fifos = 0
local function command()
  fifos = fifos + 1
  local path = ("%s/fifo%d"):format(p.folder, fifos)
  assert(os.execute("mkfifo " .. path))
  return { line = "exec cat " .. path .. " > /dev/null", whole = 0, wake = function() assert(io.open(path, "w")):close() end }
end

local function hours() return {} end
local HOUR = 3600 * 1000

-- As cross.lua has it.
local rows = {
  { "poll", pair, function(s) return p.poll(s.a, IN, -1) end, { 1, nil, 32 } },
  { "poll", pair, function(s) return p.polls({ s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a, s.a }, HOUR) end, { 17, nil, 17 * 32 } },
  { "poll", pair, function(s) return p.ppoll(s.a, IN, HOUR) end, { 1, nil, 32 } },
  { "select", pair, function(s) return p.select(s.a, "r", HOUR) end, { -1, "EBADF", 1 } },
  { "select", pair, function(s) return p.pselect(s.a, "r", HOUR) end, { -1, "EBADF", 1 } },
  { "epoll_wait", pair, function(s) return p.epoll(s.a, IN, -1) end },
  { "epoll_wait", pair, function(s) return p.epoll(s.a, IN, HOUR, 1) end },
  { "epoll_wait", pair, function(s) return p.epoll(s.a, IN, HOUR, 2) end },
  { "recv", pair, function(s) return p.recv(s.a, 10) end, { -1, "EBADF" } },
  { "recv", pair, function(s) return p.recv(s.a, 1, 0x100) end, { -1, "EBADF" } },
  { "recv", pair, function(s) return p.recvfrom(s.a, 10) end, { -1, "EBADF" } },
  { "recv", pair, function(s) return p.recvmsg(s.a, 10) end, { -1, "EBADF" } },
  { "read", pair, function(s) return p.read(s.a, 10) end, { -1, "EBADF" } },
  { "read", pipe, function(s) return p.read(s.a, 10) end, { -1, "EBADF" } },
  { "read", pipe, function(s) return p.readv(s.a, 10) end, { -1, "EBADF" } },
  { "read", pipe, function(s) return p.read_fixed(s.a, 10) end, { -1, "EBADF" } },
  { "send", full, function(s) return p.send(s.a, big) end, "a part" },
  { "send", full, function(s) return p.sendto(s.a, big) end, "a part" },
  { "send", full, function(s) return p.sendmsg(s.a, big) end, "a part" },
  { "write", full, function(s) return p.write(s.a, big) end, "a part" },
  { "write", full_pipe, function(s) return p.write(s.a, big) end, "a part" },
  { "write", full_pipe, function(s) return p.writev(s.a, big) end, "a part" },
  { "accept", listener, function(s) return kept(s, p.accept(s.a)) end, { -1, "EBADF" } },
  { "accept", listener, function(s) return kept(s, p.accept4(s.a)) end, { -1, "EBADF" } },
  { "connect", crowd, function(s) return p.connect(s.c, s.port) end, { -1, "EBADF" } },
  { "sleep", hours, function() return p.nanosleep(HOUR) end },
  { "sleep", hours, function() return p.clock_nanosleep(HOUR) end },
  { "sleep", hours, function() return p.sleep_until(HOUR) end },
  { "sleep", hours, function() return p.sleep_until(HOUR, 0) end },
  { "sleep", hours, function() return p.usleep(HOUR) end },
  { "sleep", hours, function() return p.sleep(3600) end },
  { "waitpid", child, function(s) return p.waitpid(s.pid) end },
  { "waitpid", child, function(s) return p.waitpid(s.pid, WUNTRACED) end },
  { "waitpid", child, function() return p.wait() end },
  { "waitpid", child, function() return p.wait3() end },
  { "waitpid", child, function(s) return p.wait4(s.pid) end },
  { "waitpid", child, function(s) return p.waitid(P_PID, s.pid) end },
  { "waitpid", child, function(s) return p.waitid(P_PID, s.pid, nil, true) end },
  { "waitpid", child, function() return p.waitid(P_ALL, 0) end },
  { "system", command, function(s) return p.system(s.line) end },
}

cross(_ENV, rows)

describe("a call of libc", function()
  it("returns under greenlua what it returns under lua", function()
    local ours = shell(("$lua --run %s/differential.lua %s"):format(p.source, p.folder))
    local stock = shell(("lua5.4 %s/differential.lua %s"):format(p.source, p.folder))
    assert.equal(stock, ours)
    assert.matches("a child: 42", stock)
  end)

  it("holds up everybody where the layer is off", function()
    local script = ([[-e "package.cpath = '%s/?.so' local p = require 'probe' local a = p.pair()
      local task = require 'green.task' task.sleep(0) task.spawn(print, 'other') p.poll(a, 1, 20) print 'done' task.sleep(0)"]]):format(p.folder)
    assert.equal("other\ndone\n", (shell("$lua " .. script)))
    assert.equal("done\nother\n", (shell("$lua --no-libc " .. script)))
    assert.equal("done\nother\n", (shell("GREENLUA_LIBC=off $lua " .. script)))
  end)

  it("waits for children that have no layer, however they were made", function()
    local a, b = p.pair()
    local c, d = p.pair()
    local reader = waiting(task.spawn(p.recv, c, 1)) -- a child that closes c must not wake it
    p.send(b, "x")
    assert.same({ 42 }, { p.reap(p.in_vfork(a, c)) })
    assert.equal("waiting", reader:status())
    p.send(d, "y")
    assert.equal("y", select(3, reader:join(60)))
    p.send(b, "x")
    assert.same({ 42 }, { p.reap(p.in_child(a)) })
    local _, _, status = p.waitpid(p.spawn "exit 3")
    assert.equal(3 << 8, status)
    for _, fd in ipairs { a, b, c, d } do p.close(fd) end
  end)

  it("has two tasks wait for one child, of which one gets it", function()
    local child_ = child()
    local list = {}
    for i = 1, 2 do list[i] = waiting(task.spawn(p.waitpid, child_.pid)) end
    child_.wake()
    local got = {}
    for i = 1, 2 do got[i] = select(2, list[i]:join(60)) or "it" end
    table.sort(got)
    assert.same({ "ECHILD", "it" }, got)
    p.close(child_.a)
  end)

  it("kills the shell of a system() that is cut short", function()
    local path = p.folder .. "/pid"
    local one = waiting(task.spawn(p.system, ("echo $$ > %s.new; mv %s.new %s; exec sleep 1000"):format(path, path, path)))
    while not io.open(path) do task.sleep(0.001) end
    local shell_ = io.open(path):read "n"
    one:cancel()
    one:wait(60)
    assert.same({ -1, "ESRCH" }, { p.kill(shell_, 0) })
  end)

  it("has two tasks wait for one descriptor", function()
    local a, b = p.pair()
    local list = {}
    for i = 1, 2 do list[i] = waiting(task.spawn(p.recv, a, 1)) end
    p.send(b, "x")
    p.send(b, "y")
    local got = { select(3, list[1]:join(60)), (select(3, list[2]:join(60))) }
    table.sort(got)
    assert.same({ "x", "y" }, got)
    p.close(a)
    p.close(b)
  end)

  it("that only tries again lets others run, and ends", function()
    local a, b = p.pair()
    local one = waiting(task.spawn(p.retry, a, 20))
    one:cancel()
    assert.equal("cancelled", one:wait(60))
    p.close(a)
    p.close(b)
  end)

  it("fails in a finalizer rather than wait for long", function()
    local out, err = shell([[$lua -e "package.cpath = ']] .. p.folder .. [[/?.so' local p = require 'probe' local a, b = p.pair()
      p.gc(a) collectgarbage() print(finalized)"]])
    assert.equal("EAGAIN\n", out)
    assert.matches("libc%.recv in a finalizer would wait", err)
  end)

  it("blocks within task.atomic, as libc does", function()
    local a, b = p.pair()
    local ran = false
    local other = task.spawn(function() ran = true end)
    task.atomic(function()
      assert.equal(0, (p.poll(a, IN, 20)))
      assert.is_false(ran)
    end)
    other:join()
    p.close(a)
    p.close(b)
  end)

  it("is interrupted as any wait", function()
    local out, err, code = shell([[$lua -e "package.cpath = ']] .. p.folder .. [[/?.so' local p = require 'probe' local a, b = p.pair()
      require 'green.task'.spawn(function() os.execute('(sleep 0.3; kill -INT ' .. io.open('/proc/self/stat'):read 'n' .. ') &') end)
      print(p.recv(a, 1))"]])
    assert.equal("", out)
    assert.matches("interrupted!", err)
    assert.equal(1, code)
  end)

  it("leaves errors that a green call raises as they are", function()
    local err = select(2, green.try(task.deadline, 0.01, task.sleep, 60))
    assert.equal("task.sleep", err.op)
  end)
end)
