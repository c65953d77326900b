/* SPDX-License-Identifier: MIT
 *
 * collectgarbage, with the results of the stock interpreter. That one begins in the generational mode, and the first change of the
 * mode returns so. The host begins in the incremental mode, since each small collection of the other goes through all coroutines,
 * which are many here; a script that asks for the generational mode gets it.
 */
#include "sys/collect.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Upvalue 1 is the stock function, 2 the mode that the script knows of. */
static int collect(lua_State *L) {
  const char *what = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "";
  bool mode = strcmp(what, "incremental") == 0 || strcmp(what, "generational") == 0;
  int n = lua_tocfunction(L, lua_upvalueindex(1))(L); /* in this frame, whose name its messages need */
  if (!mode || lua_type(L, -1) != LUA_TSTRING) return n; /* a finalizer cannot change the mode */
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
