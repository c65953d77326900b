-- SPDX-License-Identifier: MIT
-- Every call of probe.c by itself, in the states that its manual speaks of: prints what each returns. Runs under lua, where nothing
-- is hooked, and under greenlua; calls_spec.lua compares. arg[1]: the folder of probe.so.
package.cpath = arg[1] .. "/?.so"
local p = require "probe"

local IN, OUT, RDHUP = 1, 4, 0x2000
local DONTWAIT, WAITALL, PEEK, OOB = 0x40, 0x100, 2, 1

local function show(...)
  local values = table.pack(...)
  for i = 1, values.n do
    local v = values[i]
    values[i] = type(v) == "string" and #v > 30 and #v .. " bytes" or tostring(v)
  end
  return table.concat(values, " ")
end

local function case(name, fn)
  print(name .. ": " .. show(fn()))
  io.stdout:flush()
end

-- A number that is no descriptor's, and will not be another thread's.
local function closed()
  local a, b = p.pair()
  p.dup2(a, 900)
  return p.close(900), p.close(a), p.close(b), 900
end

-- Each way of a call that receives, with a pair of sockets (or a pipe) that is used up by the case.
local receivers = { "recv", "recvfrom", "recvmsg", "read", "readv", "read_fixed" }
for _, name in ipairs(receivers) do
  local call = p[name]
  local function each(what, fn) case(name .. " " .. what, function()
    local a, b = p.pair()
    return fn(a, b), p.close(a), p.close(b)
  end) end
  each("what is there", function(a, b) p.send(b, "hello") return show(call(a, 10)) end)
  each("what comes later", function(a, b) p.later(30, b, "later") return show(call(a, 10)) end)
  each("at the end", function(a, b) p.later(30, b, "") return show(call(a, 10)) end)
  each("after the end", function(a, b) p.close(b) return show(call(a, 10)) end)
  each("a time-out", function(a) p.limit(a, 30) return show(call(a, 10)) end)
  each("without blocking", function(a) p.nonblock(a) return show(call(a, 10)) end)
  each("nothing", function(a, b) p.send(b, "x") return show(call(a, 0)) end)
  case(name .. " a closed descriptor", function() return call(select(4, closed()), 10) end)
end
for _, name in ipairs { "recv", "recvfrom", "recvmsg" } do
  local call = p[name]
  local function each(what, fn) case(name .. " " .. what, function()
    local a, b = p.pair()
    return fn(a, b), p.close(a), p.close(b)
  end) end
  each("MSG_DONTWAIT", function(a) return show(call(a, 10, DONTWAIT)) end)
  each("MSG_PEEK", function(a, b) p.later(30, b, "peek") return show(call(a, 10, PEEK)) .. show(call(a, 10)) end)
  each("MSG_WAITALL", function(a, b) p.send(b, "one") p.later(30, b, "two") return show(call(a, 6, WAITALL)) end)
  each("MSG_WAITALL, then the end", function(a, b) p.send(b, "one") p.later(30, b, "") return show(call(a, 6, WAITALL)) end)
  each("MSG_WAITALL, then a time-out", function(a, b) p.limit(a, 90) p.send(b, "one") return show(call(a, 6, WAITALL)) end)
  each("MSG_WAITALL without blocking", function(a, b) p.nonblock(a) p.send(b, "one") return show(call(a, 6, WAITALL)) end)
  each("MSG_OOB", function(a) return show(call(a, 1, OOB)) end)
  case(name .. " what is no socket", function() local r, w = p.pipe() return show(call(r, 10)), p.close(r), p.close(w) end)
  case(name .. " MSG_WAITALL of a datagram", function()
    local a, b = p.pair(2)
    p.later(30, b, "one")
    return show(call(a, 6, WAITALL)), p.close(a), p.close(b)
  end)
  case(name .. " of a socket that is not connected", function() local s = p.socket() return show(call(s, 6)), p.close(s) end)
end
case("recv MSG_PEEK and MSG_WAITALL", function()
  local l, port = p.listen()
  local c = p.socket()
  p.connect(c, port)
  local s = p.accept(l)
  p.send(s, "one")
  p.later(30, s, "two")
  return show(p.recv(c, 6, PEEK | WAITALL)), p.close(c), p.close(s), p.close(l)
end)
case("recvfrom an address", function()
  local a, port = p.udp()
  local b = p.udp()
  p.sendto(b, "datagram", port)
  return show(p.recvfrom(a, 100)), p.close(a), p.close(b)
end)

for _, name in ipairs { "read", "readv", "read_fixed" } do
  case(name .. " a pipe", function() local r, w = p.pipe() p.later(30, w, "pipe") return show(p[name](r, 10)), p.close(r), p.close(w) end)
  case(name .. " a pipe's end", function() local r, w = p.pipe() p.close(w) return show(p[name](r, 10)), p.close(r) end)
  case(name .. " a pipe without blocking", function() local r, w = p.pipe() p.nonblock(r) return show(p[name](r, 10)), p.close(r), p.close(w) end)
  case(name .. " an eventfd", function() local e = p.eventfd() p.later(30, e, "\1\0\0\0\0\0\0\0") return show(p[name](e, 8)), p.close(e) end)
  case(name .. " a timerfd", function() local e = p.timerfd(30) return show(p[name](e, 8)), p.close(e) end)
end

local big = ("x"):rep(1 << 20)
for _, name in ipairs { "send", "sendmsg", "sendto", "write", "writev" } do
  local call = p[name]
  local function each(what, fn) case(name .. " " .. what, function()
    local a, b = p.pair()
    return fn(a, b), p.close(a), p.close(b)
  end) end
  each("a little", function(a) return show(call(a, "hello")) end)
  each("much", function(a, b) p.drain(30, b, #big) return show(call(a, big)) end)
  each("nothing", function(a) return show(call(a, "")) end)
  each("much without blocking", function(a) p.nonblock(a) local n = call(a, big) return n > 0 and n < #big and show(call(a, big)) end)
  each("until a time-out", function(a) p.limit(a, 30) local n = call(a, big) return n > 0 and n < #big and show(call(a, big)) end)
  case(name .. " to a closed descriptor", function() return call(select(4, closed()), "x") end)
  case(name .. " a datagram to a full queue", function()
    local a, b = p.pair(2)
    p.limit(a, 50)
    local sent, r, e = 0, nil, nil
    repeat r, e = call(a, ("x"):rep(1000)) sent = sent + 1 until r == -1 or sent > 10000
    return show(r, e), p.close(a), p.close(b)
  end)
end
for _, name in ipairs { "send", "sendmsg", "sendto" } do
  case(name .. " after the other side is gone", function() local a, b = p.pair() p.close(b) return show(p[name](a, "x")), p.close(a) end)
end
for _, name in ipairs { "write", "writev" } do
  case(name .. " to a pipe", function() local r, w = p.pipe() p.drain(30, r, #big) return show(p[name](w, big)), p.close(r), p.close(w) end)
  case(name .. " to a pipe without blocking", function()
    local r, w = p.pipe()
    p.nonblock(w)
    local n = p[name](w, big)
    return show(n, p[name](w, big)), p.close(r), p.close(w)
  end)
  case(name .. " to an eventfd", function() local e = p.eventfd() return show(p[name](e, "\1\0\0\0\0\0\0\0")), p.close(e) end)
end

for _, how in ipairs { "poll", "ppoll", "epoll 0", "epoll 1", "epoll 2" } do
  local name, variant = how:match "^(%a+) ?(%d?)$"
  local call = function(fd, events, ms) return p[name](fd, events, ms, variant ~= "" and tonumber(variant) or nil) end
  local function each(what, fn) case(how .. " " .. what, function()
    local a, b = p.pair()
    return fn(a, b), p.close(a), p.close(b)
  end) end
  each("ready", function(a, b) p.send(b, "x") return show(call(a, IN, 1000)) end)
  each("later", function(a, b) p.later(30, b, "x") return show(call(a, IN, 5000)) end)
  each("writable", function(a) return show(call(a, IN | OUT, 1000)) end)
  each("a time-out", function(a) return show(call(a, IN, 30)) end)
  each("at once", function(a) return show(call(a, IN, 0)) end)
  each("the end", function(a, b) p.later(30, b, "") return show(call(a, IN | RDHUP, 5000)) end)
  each("gone", function(a, b) p.close(b) return show(call(a, 0, 1000)) end)
  case(how .. " a file", function() return show(name == "epoll" or call(0, 0, 0)) end)
end
case("poll a descriptor that is closed", function() return p.poll(select(4, closed()), IN, 1000) end)
case("poll nothing", function() return show(p.poll(-1, IN, 30)) end)
case("poll for ever", function() local a, b = p.pair() p.later(50, b, "x") return show(p.poll(a, IN, -1)), p.close(a), p.close(b) end)
case("ppoll with the mask that there is", function()
  local a, b = p.pair()
  p.later(30, b, "x")
  return show(p.ppoll(a, IN, 5000, true)), p.close(a), p.close(b)
end)
case("poll many", function()
  local all, last = {}, nil
  for _ = 1, 50 do
    local a, b = p.pair()
    all[#all + 1], last = a, b
  end
  p.later(30, last, "x")
  return show(p.polls(all, 5000))
end)
for _, name in ipairs { "select", "pselect" } do
  local call = p[name]
  local function each(what, fn) case(name .. " " .. what, function()
    local a, b = p.pair()
    return fn(a, b), p.close(a), p.close(b)
  end) end
  each("ready", function(a, b) p.send(b, "x") return show(call(a, "r", 1000)) end)
  each("later", function(a, b) p.later(30, b, "x") return show(call(a, "r", 5000)) end)
  each("writable", function(a) return show(call(a, "w", 1000)) end)
  each("a time-out", function(a) return show(call(a, "r", 30)) end)
  each("at once", function(a) return show(call(a, "r", 0)) end)
  each("exceptions", function(a) return show(call(a, "e", 30)) end)
  case(name .. " a closed descriptor", function() return call(select(4, closed()), "r", 1000) end)
end

case("connect", function()
  local l, port = p.listen()
  local c = p.socket()
  local first, blocks = show(p.connect(c, port)), p.blocks(c)
  return first, blocks, show(p.connect(c, port)), p.close(c), p.close(l)
end)
case("connect refused", function()
  local l, port = p.listen()
  p.close(l)
  local c = p.socket()
  return show(p.connect(c, port)), p.blocks(c), p.close(c)
end)
case("connect without blocking", function()
  local l, port = p.listen()
  local c = p.socket()
  p.nonblock(c)
  return show(p.connect(c, port)), p.close(c), p.close(l)
end)
for _, name in ipairs { "accept", "accept4" } do
  case(name, function()
    local l, port = p.listen()
    local c = p.socket()
    p.connect(c, port)
    local s = p[name](l)
    return s >= 0, p.blocks(s), p.blocks(l), p.close(s), p.close(c), p.close(l)
  end)
  case(name .. " a time-out", function() local l = p.listen() p.limit(l, 30) return show(p[name](l)), p.close(l) end)
  case(name .. " without blocking", function() local l = p.listen() p.nonblock(l) return show(p[name](l)), p.close(l) end)
  case(name .. " of no listener", function() local s = p.socket() return show(p[name](s)), p.close(s) end)
end

case("nanosleep", function() return p.nanosleep(30) end)
case("nanosleep 0", function() return p.nanosleep(0) end)
case("clock_nanosleep", function() return p.clock_nanosleep(30) end)
case("clock_nanosleep of a clock that is none", function() return p.clock_nanosleep(30, 99) end)
for _, clock in ipairs { 0, 1, 7, 11 } do case("sleep until, clock " .. clock, function() return p.sleep_until(30, clock) end) end
case("usleep", function() return p.usleep(30) end)
case("sleep", function() return p.sleep(1) end)

case("dup2", function() local a, b = p.pair() return p.dup2(a, b) == b, p.dup2(99999, b), p.close(a), p.close(b) end)
case("dup3", function() local a, b = p.pair() return p.dup3(a, b) == b, show(p.dup3(a, a)), p.close(a), p.close(b) end)
case("close twice", function() return show(p.close((select(4, closed())))) end)
case("a handler", function() local a, b = p.pair() p.later(30, b, "x") return show(p.in_handler(a)), p.close(a), p.close(b) end)
case("a child", function() local a, b = p.pair() local pid = p.in_child(a) p.send(b, "x") return p.reap(pid), p.close(a), p.close(b) end)
case("a child by vfork", function()
  local a, b = p.pair()
  p.send(b, "x")
  return p.reap(p.in_vfork(a, 900)), p.close(a), p.close(b)
end)

local WNOHANG, WUNTRACED, WNOWAIT, WEXITED, WSTOPPED, WCONTINUED = 1, 2, 0x1000000, 4, 2, 8
local P_ALL, P_PID, STOP, CONT, KILL = 0, 1, 19, 18, 9

-- How a call ended, without the process.
local function ended(pid, r, e, status) return r == pid and "it" or r, e, status end

case("waitpid", function() local c = p.spawn "sleep 0.03; exit 3" return show(ended(c, p.waitpid(c))) .. show(p.waitpid(c)) end)
case("waitpid, a signal", function() local c = p.spawn "exec sleep 60" p.kill(c) return show(ended(c, p.waitpid(c))) end)
case("waitpid, any", function() local c = p.spawn "sleep 0.03; exit 4" return show(ended(c, p.waitpid(-1))) end)
case("waitpid, any of the group", function() local c = p.spawn "sleep 0.03; exit 4" return show(ended(c, p.waitpid(0))) end)
case("waitpid WNOHANG", function()
  local c = p.spawn "exec sleep 60"
  return show(p.waitpid(c, WNOHANG)), p.kill(c), show(ended(c, p.waitpid(c)))
end)
case("waitpid, nobody's", function() return show(p.waitpid(1)) end)
case("waitpid, no children", function() return show(p.waitpid(-1)) end)
case("waitpid, wrong options", function() return show(p.waitpid(-1, 0x7000)) end)
case("waitpid WUNTRACED", function()
  local c = p.spawn "exec sleep 60"
  p.kill(c, STOP)
  local stopped = show(ended(c, p.waitpid(c, WUNTRACED)))
  p.kill(c, CONT)
  p.kill(c, KILL)
  return stopped, show(ended(c, p.waitpid(c)))
end)
case("wait", function() local c = p.spawn "sleep 0.03; exit 5" return show(ended(c, p.wait())) .. show(p.wait()) end)
case("wait3", function() local c = p.spawn "sleep 0.03; exit 5" return show(ended(c, p.wait3())) .. show(p.wait3()) end)
case("wait4", function() local c = p.spawn "sleep 0.03; exit 5" return show(ended(c, p.wait4(c))) end)
case("waitid", function() local c = p.spawn "sleep 0.03; exit 6" return show(p.waitid(P_PID, c)) .. show(p.waitid(P_PID, c)) end)
case("waitid WNOWAIT", function()
  local c = p.spawn "sleep 0.03; exit 6"
  return show(p.waitid(P_PID, c, WEXITED | WNOWAIT)) .. show(p.waitid(P_ALL, 0))
end)
case("waitid, a stop", function()
  local c = p.spawn "exec sleep 60"
  p.kill(c, STOP)
  local stopped = show(p.waitid(P_PID, c, WSTOPPED))
  p.kill(c, CONT)
  local goes_on = show(p.waitid(P_PID, c, WCONTINUED))
  p.kill(c, KILL)
  return stopped, goes_on, show(p.waitid(P_ALL, 0))
end)
case("waitid, wrong", function() return show(p.waitid(99, 1)) .. show(p.waitid(P_PID, 1, 0)) end)
case("system", function() return p.system "exit 3", p.system "kill -9 $$", p.system "true", p.system(nil) end)
case("system, what is not there", function() return p.system "/nowhere/nothing 2> /dev/null" end)

for _, name in ipairs { "localhost", "127.0.0.1", "127.1", "", "no host", ("a"):rep(64) .. ".test" } do
  case("getaddrinfo " .. name, function() return show(p.getaddrinfo(name, "80")) end)
  case("gethostbyname " .. name, function() return show(p.gethostbyname(name)) end)
  case("gethostbyname2 " .. name, function() return show(p.gethostbyname2(name)) end)
  for _, size in ipairs { 0, 8, 60, 70, 4096 } do
    for skew = 0, 3 do
      case(("gethostbyname_r %s, %d bytes, %d off"):format(name, size, skew), function() return show(p.gethostbyname_r(name, size, skew)) end)
      case(("gethostbyname2_r %s, %d bytes, %d off"):format(name, size, skew), function() return show(p.gethostbyname2_r(name, size, skew)) end)
    end
  end
end
local LOOPBACK, CANONNAME, NUMERICHOST, NUMERICSERV, PASSIVE, NAMEREQD = 0x7f000001, 2, 4, 0x400, 1, 8
case("getaddrinfo nothing", function() return show(p.getaddrinfo(nil, nil)) end)
case("getaddrinfo a service", function() return show(p.getaddrinfo(nil, "80", PASSIVE)) end)
case("getaddrinfo no service", function() return show(p.getaddrinfo("localhost", "no such service")) end)
case("getaddrinfo a name for the service", function() return show(p.getaddrinfo("localhost", "x", NUMERICSERV)) end)
case("getaddrinfo a canonical name", function() return show(p.getaddrinfo("localhost", "80", CANONNAME)) end)
case("getaddrinfo only figures", function() return show(p.getaddrinfo("localhost", "80", NUMERICHOST)) end)
case("getaddrinfo wrong flags", function() return show(p.getaddrinfo("localhost", "80", 0x7000000)) end)
case("getaddrinfo no family", function() return show(p.getaddrinfo("localhost", "80", 0, 99)) end)
case("getaddrinfo without hints", function() return show(p.getaddrinfo("localhost", nil, 0, 0, true)) end)
case("getnameinfo", function() return show(p.getnameinfo(LOOPBACK, 80)) end)
case("getnameinfo in figures", function() return show(p.getnameinfo(LOOPBACK, 80, 3)) end)
case("getnameinfo a short buffer", function() return show(p.getnameinfo(LOOPBACK, 80, 0, 3)) end)
case("getnameinfo no buffer", function() return show(p.getnameinfo(LOOPBACK, 80, 0, 0)) end)
case("getnameinfo a short address", function() return show(p.getnameinfo(LOOPBACK, 80, 0, 100, 4)) end)
case("getnameinfo wrong flags", function() return show(p.getnameinfo(LOOPBACK, 80, 0x7000000)) end)
case("getnameinfo a name is needed", function() return show(p.getnameinfo(LOOPBACK, 80, NAMEREQD)) end)
case("gethostbyaddr", function() return show(p.gethostbyaddr(LOOPBACK)) end)
case("gethostbyaddr a short address", function() return show(p.gethostbyaddr(LOOPBACK, 3)) end)
for _, size in ipairs { 0, 8, 60, 70, 4096 } do
  case("gethostbyaddr_r " .. size, function() return show(p.gethostbyaddr_r(LOOPBACK, size)) end)
end
case("gethostbyname2 IPv6", function() return show(p.gethostbyname2("localhost", 10)) end)
case("gethostbyname2 no family", function() return show(p.gethostbyname2("localhost", 99)) end)
