/* SPDX-License-Identifier: MIT
 *
 * collectgarbage, with the answers of the stock interpreter. That one begins in the generational mode, and says so to who asks
 * first; the host does not, since each small collection of that mode goes through all coroutines, and they are many here.
 * Whoever wants it gets it.
 */
#include "sys/collect.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Upvalues: the stock function; the mode as the script knows it. */
static int collect(lua_State *L) {
  const char *what = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "";
  bool mode = strcmp(what, "incremental") == 0 || strcmp(what, "generational") == 0;
  int n = lua_tocfunction(L, lua_upvalueindex(1))(L); /* in this frame, whose name its messages need */
  if (!mode || lua_type(L, -1) != LUA_TSTRING) return n; /* in a finalizer it is refused */
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  lua_replace(L, lua_upvalueindex(2));
  return 1;
}

void gl_install_collectgarbage(lua_State *L) {
  lua_getglobal(L, "collectgarbage");
  lua_pushliteral(L, "generational");
  lua_pushcclosure(L, collect, 2);
  lua_setglobal(L, "collectgarbage");
}
