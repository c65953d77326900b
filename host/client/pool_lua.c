/* SPDX-License-Identifier: MIT */
#include "client/pool_lua.h"

#include "core/class.h"
#include "core/error.h"

/* Finalizer: closes all connections with the Lua state. */
static int close_pool(lua_State *L) {
  gl_pool *p = *(gl_pool **)lua_touserdata(L, 1);
  if (!p) return 0;
  *(gl_pool **)lua_touserdata(L, 1) = NULL;
  gl_pool_close(p);
  return 0;
}

gl_pool *gl_pool_of(lua_State *L) {
  static const char key;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    gl_pool **at = lua_newuserdatauv(L, sizeof *at, 0); /* nil pool */
    *at = NULL;
    gl_class_finalizer(L, close_pool);
    *at = gl_pool_new(gl_host_of(L));
    if (!*at) gl_error_raise(L, "http", "ENOMEM", "not enough memory");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    lua_replace(L, -2);
  }
  gl_pool *p = *(gl_pool **)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!p) gl_error_raise(L, "http", "ECANCELED", "the program ends");
  return p;
}
