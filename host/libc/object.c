/* SPDX-License-Identifier: MIT */
#include "libc/object.h"

#include <lauxlib.h>

#include "libc/exchange.h"
#include "libc/hold.h"

/* Waits while another task's C code is in the middle of the object. */
static void *await_object(lua_State *L, int idx, void *object, bool may_raise) {
  gl_layer *l = gl_layer_here;
  if (!l || !object) return object;
  gl_hold_begin(l->holds);
  if (lua_type(L, idx) != LUA_TUSERDATA) return object;
  if (!gl_hold_is_idle(l->holds) && gl_layer_now()) gl_hold_await(l, L, object, may_raise);
  gl_exchange_reach(l, object);
  return object;
}

void *gl_object_lua_touserdata(lua_State *L, int idx) { return await_object(L, idx, lua_touserdata(L, idx), false); }

void *gl_object_luaL_checkudata(lua_State *L, int idx, const char *name) {
  return await_object(L, idx, luaL_checkudata(L, idx, name), true);
}

void *gl_object_luaL_testudata(lua_State *L, int idx, const char *name) {
  return await_object(L, idx, luaL_testudata(L, idx, name), false);
}
