/* SPDX-License-Identifier: MIT */
#include "reference.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/near.h"
#include "embedded.h"

static int reference_stubs(lua_State *L) {
  lua_newtable(L);
  for (const gl_lualib *stub = gl_stubs; stub->name; stub++) {
    lua_pushlstring(L, stub->start, (size_t)(stub->end - stub->start));
    lua_setfield(L, -2, stub->name);
  }
  return 1;
}

static bool is_internal(const char *name) {
  for (const gl_lualib *lib = gl_lualibs; lib->name; lib++) {
    if (strcmp(lib->name, name) == 0) return lib->internal;
  }
  return false;
}

static int reference_modules(lua_State *L) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (const gl_lualib *stub = gl_stubs; stub->name; stub++) {
    if (is_internal(stub->name)) continue; /* its stub is for classes */
    lua_pushstring(L, stub->name);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static int reference_near(lua_State *L) {
  size_t mistakes;
  if (gl_near(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &mistakes)) lua_pushinteger(L, (lua_Integer)mistakes);
  else lua_pushnil(L);
  return 1;
}

/* hint(word or nil, list of names): how a refusal of `word` goes on */
static int reference_hint(lua_State *L) {
  const char *word = luaL_optstring(L, 1, NULL);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_Unsigned n = lua_rawlen(L, 2);
  const char **names = lua_newuserdatauv(L, (n + 1) * sizeof *names, 0);
  for (lua_Unsigned i = 0; i < n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "a list of names expected");
    names[i] = lua_tostring(L, -1); /* held by the list */
  }
  names[n] = NULL;
  gl_near_push_hint(L, word, names);
  return 1;
}

static int reference_columns(lua_State *L) {
  struct winsize size;
  if (!isatty(STDOUT_FILENO)) lua_pushnil(L);
  else lua_pushinteger(L, ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80);
  return 1;
}

int luaopen_green_reference(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"columns", reference_columns}, {"hint", reference_hint}, {"modules", reference_modules}, {"near", reference_near},
    {"stubs", reference_stubs}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
