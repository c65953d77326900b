/* SPDX-License-Identifier: MIT */
#include "core/pcall.h"

#include <lauxlib.h>

#include "core/alone.h"
#include "core/allowhook.h"

/* Hooks are off. Does the preemption wait for what runs on L? It comes before the next instruction then, in a hook function, too. */
static void follow(lua_State *L) {
  gl_host *h = gl_host_of(L);
  if (!h->preempt_hook || lua_gethook(L) != h->preempt_hook) return;
  h->slices.forced_on = L;
  gl_allowhook_set(L);
}

void gl_pcall_caught(lua_State *L) {
  if (gl_allowhook_is_off(L)) follow(L);
  gl_alone_follow(L, NULL);
}

/* The results of a protected call: true and what lies above the first `below` values; or false and the error. */
static int give_results(lua_State *L, int status, lua_KContext below) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)below;
  gl_pcall_caught(L);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

/* pcall(f, ...): the `true` of the results goes below f and its arguments */
static int base_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return give_results(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, give_results), 0);
}

/* xpcall(f, handler, ...): f and the handler stay below the `true` of the results, f again, and its arguments */
static int base_xpcall(lua_State *L) {
  int nargs = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  return give_results(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 2, give_results), 2);
}

void gl_install_pcall(lua_State *L) {
  lua_pushcfunction(L, base_pcall);
  lua_setglobal(L, "pcall");
  lua_pushcfunction(L, base_xpcall);
  lua_setglobal(L, "xpcall");
}
