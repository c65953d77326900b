/* SPDX-License-Identifier: MIT */
#include "core/hookcount.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>

/* Lua's lua_State (lstate.h), from Lua 5.4.3 on, with what is of no interest here by its size. */
typedef struct state {
  void *head[2];         /* next object, type, status, allowhook, number of calls */
  void *pointers[10];
  void *base_call[4];    /* the first CallInfo: function, top, previous, next, */
  void *base_c_call[3];  /* its union, */
  int base_rest[2];      /* and the rest of it */
  volatile lua_Hook hook;
  ptrdiff_t errfunc;
  uint32_t c_calls;
  int old_pc;
  int base_count;
  volatile int count;
  volatile int mask;
} state;

#define FIRST 1000  /* what the trial counts to */
#define SECOND 2003
#define SHORT 5

static _Thread_local bool known;
static _Thread_local int calls; /* of the trial's hook */

static state *state_of(lua_State *L) { return (state *)L; }

static void try_hook(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
  calls++;
}

static bool is_there(lua_State *co, int count) {
  const state *s = state_of(co);
  lua_sethook(co, try_hook, LUA_MASKCOUNT, count);
  return s->hook == try_hook && s->base_count == count && s->count == count && s->mask == LUA_MASKCOUNT;
}

/* A chunk of a few hundred instructions must call the hook once where only a few are left, and else not at all. */
static int try_out(lua_State *L) {
  int nresults;
  static const char chunk[] = "for i = 1, 300 do end";
  lua_State *co = lua_newthread(L);
  if (!is_there(co, FIRST) || !is_there(co, SECOND)) return 0;
  calls = 0;
  if (luaL_loadstring(co, chunk) != LUA_OK || lua_resume(co, L, 0, &nresults) != LUA_OK || calls != 0) return 0;
  if (state_of(co)->count >= SECOND - 300) return 0;
  state_of(co)->count = SHORT;
  if (luaL_loadstring(co, chunk) != LUA_OK || lua_resume(co, L, 0, &nresults) != LUA_OK) return 0;
  known = calls == 1;
  return 0;
}

void gl_hookcount_init(lua_State *L) {
  if (known || LUA_VERSION_RELEASE_NUM < 50403) return;
  lua_pushcfunction(L, try_out);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

int gl_hookcount_left(lua_State *L) { return known ? state_of(L)->count : lua_gethookcount(L); }

void gl_hookcount_set(lua_State *L, int left) {
  if (known) state_of(L)->count = left > 1 ? left : 1;
}
