-- SPDX-License-Identifier: MIT
-- The watchdog's signal broke foreign C that was blocked in a system call for more than 100 ms: a sleep of a second took 0.11 s
-- (EINTR), and a loop around poll that begins anew after EINTR never ended. What sleeps where the kernel does not begin anew by
-- itself is left alone now; it is told of all the same. And 20 reports of the same stall were 20 times the same lines, as soon as
-- the tasks that stalled had been called from different lines, or stalled by turns.
local process = require "green.process"
local shell = require "shell"

local module_c = [[
#define _GNU_SOURCE
#include <lauxlib.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* As libc has them, past whatever libc it is. Milliseconds; true: not interrupted. */
static int nap(lua_State *L) {
  long ms = luaL_checkinteger(L, 1);
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  lua_pushboolean(L, syscall(SYS_nanosleep, &t, NULL) == 0);
  return 1;
}

static int poll_again(lua_State *L) { /* how often it had to begin anew */
  struct timespec t = {0, luaL_checkinteger(L, 1) * 1000000};
  int again = 0;
  while (again < 20 && syscall(SYS_ppoll, NULL, 0, &(struct timespec){t.tv_sec, t.tv_nsec}, NULL, 0) != 0) again++;
  lua_pushinteger(L, again);
  return 1;
}

static int read_late(lua_State *L) { /* a read that the kernel begins anew */
  long ms = luaL_checkinteger(L, 1);
  struct itimerspec t = {{0, 0}, {ms / 1000, ms % 1000 * 1000000}};
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  unsigned long long n = 0;
  timerfd_settime(fd, 0, &t, NULL);
  lua_pushboolean(L, syscall(SYS_read, fd, &n, sizeof n) == sizeof n);
  close(fd);
  return 1;
}

int luaopen_blocking(lua_State *L) {
  static const luaL_Reg functions[] = {{"nap", nap}, {"poll", poll_again}, {"read", read_late}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
]]

-- What a script that has the module says on stdout and stderr.
local function run(script)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  local file <close> = assert(io.open(folder .. "/blocking.c", "w"))
  file:write(module_c)
  file:close()
  local built = process.capture({ "cc", "-shared", "-fPIC", "-I/usr/include/lua5.4", folder .. "/blocking.c", "-o", folder .. "/blocking.so" },
    { stderr = "stdout" })
  assert.same({ 0, "" }, { built.code, built.stdout })
  local out, err = shell("$lua x.lua", { ["x.lua"] = ([[
    package.cpath = %q
    local blocking, task = require "blocking", require "green.task"
    task.spawn(task.sleep, 0.01) -- somebody who is held up
    ]]):format(folder .. "/?.so") .. script }, true)
  os.execute("rm -r " .. folder)
  return out, err
end

describe("C code that is blocked", function()
  it("in a sleep sleeps to its end, and is told of", function()
    local out, err = run "print(blocking.nap(400))"
    assert.equal("true\n", out)
    assert.matches("^greenlua: stalled for more than 100 ms in C:\n\t%[C%]: in the system call nanosleep, which must not be interrupted\n\tThis is a wait", err)
  end)

  it("in a loop of poll comes to its end", function()
    assert.equal("0\n", (run "print(blocking.poll(400))"))
  end)

  it("in a read is told of with its caller, and goes on", function()
    local out, err = run "local function slow() return (blocking.read(400)) end\nprint(slow())"
    assert.equal("true\n", out)
    assert.matches("stalled for more than 100 ms in C:\n\t%[C%]: in read\n\tx%.lua:4: in slow\n", err)
    assert.matches("\n\tThis is a wait that greenlua does not see", err)
  end)

  -- The watchdog looks and then signals: a wait that begins in between is met all the same, now and then, and not five times.
  it("after it had used CPU is left alone, too", function()
    local out = run [[
      for _ = 1, 5 do
        local before = os.clock()
        repeat until os.clock() - before > 0.05
        local slept, again = blocking.nap(200), blocking.poll(200)
        if slept and again == 0 then return print "left alone" end
      end]]
    assert.equal("left alone\n", out)
  end)
end)

-- How many places are reported at length, and how often all of them stalled.
local function counted(err)
  local reports, stalls = 0, 0
  for line in err:gmatch "[^\n]+" do
    if line:find "^greenlua: stalled" then reports, stalls = reports + 1, stalls + 1 end
    stalls = stalls + (tonumber(line:match "^greenlua: the stall at x%.lua:%d+ came (%d+) times more$") or 0)
  end
  return reports, stalls
end

describe("a stall that comes again and again", function()
  it("is told once, and then how often it came", function()
    local _, err = run "for _ = 1, 6 do blocking.read(400) task.sleep(0) end"
    local reports, stalls = counted(err)
    assert.equal(1, reports, err)
    assert.is_true(stalls >= 2, err) -- each, but where the machine had no time for the watchdog
  end)

  it("is told once for its place, whoever called it, and with other places in between", function()
    local _, err = run [[
      local function here() blocking.read(400) end
      local function there() blocking.read(400) end
      local callers = {}
      for i = 1, 4 do
        callers[2 * i - 1] = load("local f = ... " .. ("\n"):rep(i) .. " f() return 1", "=first" .. i)
        callers[2 * i] = load("local f = ... " .. ("\n"):rep(i) .. " f() return 1", "=second" .. i)
      end
      local tasks = {}
      for i, caller in ipairs(callers) do tasks[i] = task.spawn(caller, i % 2 == 0 and here or there) end
      for _, one in ipairs(tasks) do one:join() end]]
    local reports, stalls = counted(err)
    assert.is_true(reports <= 2, err)
    assert.is_true(stalls >= 3, err) -- of 8
  end)
end)
