-- SPDX-License-Identifier: MIT
-- host/libc/: every call of libc that it takes over, in several places, with each way in which the call can end.
require "helper"
local backlog = require "net.backlog"
local debug_ = require "green.debug"
local green = require "green"
local outcome = require "outcome"
local p = require "libc.probe"
local shell = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting
local IN = 1

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
  return { a = a, b = b, wait = a, wake = function() p.drain(0, b, #big) end }
end

local function full_pipe()
  local r, w = p.pipe()
  return { a = w, b = r, wait = w, wake = function() p.drain(0, r, #big) end }
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

local function discard(s)
  for _, fd in ipairs { s.a or -1, s.b or -1, s.c or -1 } do
    if fd >= 0 then p.close(fd) end
  end
  for _, fd in ipairs(s.others or {}) do p.close(fd) end
end

-- For what makes a descriptor.
local function kept(s, fd, err)
  s.c = fd
  return fd, err
end

local function hours() return {} end
local HOUR = 3600 * 1000

-- name of the wait, what it needs, the call, what it returns when another task closes what it waits for (nil: nothing to close)
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
}

local places = {
  { "a function", function(call) return call() end },
  { "a sort comparator", function(call)
    local got
    table.sort({ 2, 1 }, function(a, b)
      got = got or table.pack(call())
      return a < b
    end)
    return table.unpack(got, 1, got.n)
  end },
  { "a coroutine", function(call) return coroutine.wrap(call)() end },
  { "a metamethod", function(call)
    local got = setmetatable({}, { __add = function() return table.pack(call()) end }) + 1
    return table.unpack(got, 1, got.n)
  end },
  { "a C function that calls back", function(call)
    local a, b = p.pair()
    local o = p.object(a, "c")
    local got = table.pack(o:call(call))
    p.close(a)
    p.close(b)
    return table.unpack(got, 1, got.n)
  end },
}

-- Another task waits in the call: it is what debug.tasks says, and this one runs meanwhile.
local function begin(row, place)
  local state = row[2]()
  local one = waiting(task.spawn(function() return place[2](function() return row[3](state) end) end))
  local waits = {}
  for _, t in ipairs(debug_.tasks()) do waits[t.waits and t.waits:match "^%S+" or "nothing"] = true end
  assert.is_true(waits["libc." .. row[1]])
  return state, one
end

for i, row in ipairs(rows) do
  describe(("%s (%d)"):format(row[1], i), function()
    for _, place in ipairs(places) do
      it("in " .. place[1] .. " waits, and returns its result", function()
        if row[2] == hours then return end
        local state, one = begin(row, place)
        state:wake()
        local r = table.pack(one:join(60))
        assert.is_true(r[1] == #big or r[1] >= 0, r[2])
        if row[2] == full or row[2] == full_pipe then assert.equal(#big, r[1]) end
        discard(state)
      end)

      it("in " .. place[1] .. " ends when its task is cancelled", function()
        local state, one = begin(row, place)
        one:cancel()
        assert.equal("cancelled", one:wait(60))
        local err = failure(one.join, one)
        assert.same({ "ECANCELED", "libc." .. row[1] }, { err.code, err.op })
        discard(state)
      end)

      it("in " .. place[1] .. " ends with a deadline", function()
        local state = row[2]()
        local code = "none"
        local err = failure(task.deadline, 0.02, function()
          local _, first = pcall(place[2], function() return row[3](state) end)
          code = first.code
          place[2](function() return row[3](state) end) -- and so does each later one
        end)
        assert.same({ "EDEADLINE", "EDEADLINE" }, { code, err.code })
        discard(state)
      end)
    end

    if row[4] then
      it("ends when another task closes what it waits for", function()
        local state, one = begin(row, places[1])
        p.close(state.wait)
        local r = table.pack(one:join(60))
        if row[4] == "a part" then assert.is_true(r[1] > 0 and r[1] < #big)
        else assert.same(row[4], { r[1], r[2], r[3] }) end
        if state.wait == state.a then state.a = nil else state.c = nil end
        discard(state)
      end)

      it("ends when another task makes something else of what it waits for", function()
        local state, one = begin(row, places[1])
        local other, end_of_other = p.pair()
        p.dup2(other, state.wait)
        local r = table.pack(one:join(60))
        if row[4] == "a part" then assert.is_true(r[1] > 0 and r[1] < #big)
        else assert.same({ row[4][1], row[4][2] }, { r[1], r[2] }) end
        p.close(other)
        p.close(end_of_other)
        discard(state)
      end)
    end
  end)
end

describe("a call of libc", function()
  it("returns under greenlua what it returns under lua", function()
    local ours = shell(("$lua --run %s/differential.lua %s"):format(p.source, p.folder))
    local stock = shell(("lua5.4 %s/differential.lua %s"):format(p.source, p.folder))
    assert.equal(stock, ours)
    assert.matches("a child: 42", stock)
  end)

  it("holds up everybody where the layer is off", function()
    local script = ([[-e "package.cpath = '%s/?.so' local p = require 'probe' local a = p.pair()
      require 'green.task'.spawn(print, 'other') p.poll(a, 1, 20) print 'done' require 'green.task'.sleep(0)"]]):format(p.folder)
    assert.equal("other\ndone\n", (shell("$lua " .. script)))
    assert.equal("done\nother\n", (shell("$lua --no-libc " .. script)))
    assert.equal("done\nother\n", (shell("GREENLUA_LIBC=off $lua " .. script)))
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
