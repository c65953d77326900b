-- SPDX-License-Identifier: MIT
-- A C module's hook (a debugger's, a profiler's) was lost for ever where the preemption had set its own over it and the coroutine stopped
-- running before that came: the host kept one hook, of the coroutine that was preempted last. And a task that was killed at random
-- instructions lost it at the first of them. It also counted anew each time it was put back: one for more instructions than a slice has never came.
local probe = require "libc.probe"
local task = require "green.task"

local SOURCE = [[
#include <time.h>
#include <lua.h>
#include <lauxlib.h>

static long seen;

static void on_event(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
  seen++;
}

/* hook(mask, count): on the coroutine that calls */
static int hook(lua_State *L) {
  lua_sethook(L, on_event, (int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2));
  return 0;
}

/* is_mine([coroutine]) -> boolean, mask, count */
static int is_mine(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, lua_gethook(co) == on_event);
  lua_pushinteger(L, lua_gethookmask(co));
  lua_pushinteger(L, lua_gethookcount(co));
  return 3;
}

static int events(lua_State *L) {
  lua_pushinteger(L, seen);
  return 1;
}

/* Computes until the preemption has set its hook, which cannot come before this is back in Lua. */
static void be_taken_over(lua_State *L) {
  clock_t end = clock() + 60 * CLOCKS_PER_SEC;
  while (lua_gethook(L) == on_event && clock() < end) continue;
  if (lua_gethook(L) == on_event) luaL_error(L, "the preemption has not come");
}

static int yields(lua_State *L) {
  be_taken_over(L);
  return lua_yield(L, 0);
}

static int done(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/* calls(f, ...): a C function */
static int calls(lua_State *L) {
  be_taken_over(L);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, done);
  return done(L, LUA_OK, 0);
}

/* The same, where Lua cannot yield. */
static int parks(lua_State *L) {
  be_taken_over(L);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

int luaopen_hooker(lua_State *L) {
  static const luaL_Reg functions[] = {{"hook", hook}, {"is_mine", is_mine}, {"events", events}, {"yields", yields}, {"calls", calls},
                                       {"parks", parks}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
]]

local CALL, LINE, COUNT = 1, 4, 8

describe("a C module's hook", function()
  local m

  setup(function() m = probe.build("hooker", SOURCE) end)

  local function is_there(co, mask, count)
    local mine, its_mask, its_count = m.is_mine(co)
    return mine and its_mask == mask and its_count == count
  end

  -- Coroutines that have yielded out of the module after the preemption had set its hook there.
  local function yielded(mask, count)
    local list = {}
    for i = 1, 3 do
      list[i] = coroutine.create(function()
        m.hook(mask, count)
        m.yields()
        local before = m.events()
        for _ = 1, 100 do tostring(1) end
        return m.events() - before
      end)
      assert(coroutine.resume(list[i]))
    end
    return list
  end

  for what, how in pairs { lines = { LINE, 0 }, counts = { COUNT, 7 }, calls = { CALL, 0 } } do
    it("for " .. what .. " is there again when its coroutine has yielded, and works", function()
      local list = yielded(how[1], how[2])
      for i = 1, 3 do assert.is_true(is_there(list[i], how[1], how[2])) end
      for i = 1, 3 do
        local _, n = assert(coroutine.resume(list[i]))
        assert.is_true(n >= 50, n)
      end
    end)
  end

  local function loop(n) for _ = 1, n do end end

  it("goes on counting where it was when the preemption came", function()
    local other = task.spawn(function() while true do loop(1000) end end) -- slices are short, and there are many
    local _ <close> = setmetatable({}, { __close = function() other:cancel() end })
    local cuts = require("green.debug").preempted
    for _, where in ipairs { "in a task", "parked" } do
      local count = 200000
      local one = task.spawn(function()
        m.hook(COUNT, count)
        local before = m.events()
        local slices, rounds = cuts(), 0
        repeat
          if where == "parked" then table.sort({ 1, 2 }, function() loop(count * 5) end)
          else loop(count * 5) end
          rounds = rounds + 1
        until cuts() - slices > 30 and rounds > 10
        return (m.events() - before) / rounds, cuts() - slices
      end)
      local events, slices = one:join(60)
      assert.is_true(events > 4.9 and events < 5.1, ("%s: %g events for 5 times as many instructions, in %d slices"):format(where, events, slices))
    end
  end)

  it("is not put back where its coroutine has got another meanwhile", function()
    local co = yielded(LINE, 0)[1]
    local n = 0
    debug.sethook(co, function() n = n + 1 end, "l")
    assert(coroutine.resume(co))
    assert.is_true(n > 0)
    assert.is_false((m.is_mine(co)))
  end)

  for _, waits in ipairs { "calls", "parks" } do
    it("is there again in tasks that wait in C: " .. waits, function()
      local waiting, list = 0, {}
      for i = 1, 3 do
        list[i] = task.spawn(function()
          m.hook(LINE, 0)
          waiting = waiting + 1
          m[waits](task.sleep, 0.001)
          local before = m.events()
          for _ = 1, 100 do
            tostring(1)
          end
          return is_there(nil, LINE, 0), m.events() - before
        end)
      end
      for i = 1, 3 do
        local there, n = list[i]:join(60)
        assert.is_true(there)
        assert.is_true(n >= 100, n)
      end
      assert.equal(3, waiting)
    end)
  end

  it("is there again while another coroutine runs, which is preempted", function()
    local outer, seen_inside
    local inner = coroutine.create(function()
      m.hook(LINE, 0)
      seen_inside = is_there(outer, COUNT, 100)
      m.calls(coroutine.yield)
    end)
    outer = coroutine.create(function()
      m.hook(COUNT, 100)
      m.calls(coroutine.resume, inner)
      return is_there(nil, COUNT, 100)
    end)
    assert.same({ true, true }, { coroutine.resume(outer) })
    assert.is_true(seen_inside)
    assert.same({ true, LINE, 0 }, { m.is_mine(inner) })
  end)

  it("outlives a coroutine that was collected", function()
    for _ = 1, 3 do
      yielded(LINE, 0)
      collectgarbage()
    end
    local co = coroutine.create(function() for _ = 1, 1e5 do end end)
    assert(coroutine.resume(co))
    assert.is_false((m.is_mine(co)))
  end)

  it("sees what a task does that must end and catches all errors, and is there afterwards", function()
    local ok, there = task.spawn(function()
      m.hook(LINE, 0)
      local caught, first, last = 0, nil, nil
      local ok, err = pcall(task.deadline, 0.02, function()
        while true do
          while true do
            local fine = pcall(function() while true do end end)
            if not fine then
              last = m.events()
              first = first or last
              caught = caught + 1
            end
          end
        end
      end)
      assert.equal("EDEADLINE", not ok and err.code)
      local back = is_there(nil, LINE, 0)
      for _ = 1, 1000 do -- a hook of ours that missed its count is set anew after some milliseconds of CPU
        if back then break end
        for _ = 1, 1e5 do end
        back = is_there(nil, LINE, 0)
      end
      return caught < 2 or last > first, back -- less than 2: an error met the loop around the pcall at once
    end):join(60)
    assert.is_true(ok)
    assert.is_true(there)
  end)
end)
