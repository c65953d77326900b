/* SPDX-License-Identifier: MIT */
#include "core/misuse.h"

#include <stdarg.h>
#include <string.h>

#include <lauxlib.h>

/* Pushes "file:line: " of the innermost Lua frame outside of green.*, or "". */
static void push_position(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || strncmp(ar.source, "@green:", 7) == 0) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

int gl_error_misuse(lua_State *L, const char *fmt, ...) {
  va_list args;
  luaL_checkstack(L, 4, NULL);
  push_position(L);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}
