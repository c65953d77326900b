/* SPDX-License-Identifier: MIT */
#include "json/json.h"

#include <lauxlib.h>
#include <string.h>

#include "core/args.h"

#define ARRAY "green.json.array"

void gl_json_push_array(lua_State *L) {
  if (!luaL_newmetatable(L, ARRAY)) return;
  lua_pushnil(L); /* to scripts an array is a table: tostring and errors say "table" */
  lua_setfield(L, -2, "__name");
}

bool gl_json_says_array(lua_State *L, int idx) {
  int type = luaL_getmetafield(L, idx, "__jsontype");
  if (type == LUA_TNIL) return false;
  bool says = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "array") == 0;
  lua_pop(L, 1);
  return says;
}

static bool check_replace(lua_State *L, int idx) {
  static const char *const names[] = {"invalid_utf8", NULL}, *const words[] = {"error", "replace", NULL};
  if (lua_isnoneornil(L, idx)) return false;
  gl_args_check_names(L, idx, names);
  return gl_args_word(L, idx, "invalid_utf8", words) == 1;
}

static int json_encode(lua_State *L) {
  gl_json_text text;
  bool replace = check_replace(L, 2);
  lua_settop(L, 1);
  gl_json_encode(L, &text, replace);
  lua_pushlstring(L, text.start, (size_t)(text.at - text.start));
  gl_json_done(L, &text);
  return 1;
}

static int json_decode(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_error(L, "json.decode: a string expected, got %s", luaL_typename(L, 1));
  size_t n;
  const char *text = lua_tolstring(L, 1, &n);
  gl_json_decode(L, text, n);
  return 1;
}

static int json_array(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (!lua_istable(L, 1)) return luaL_error(L, "json.array: a table expected, got %s", luaL_typename(L, 1));
  gl_json_push_array(L);
  lua_setmetatable(L, 1);
  return 1;
}

static int json_is_array(lua_State *L) {
  bool marked = lua_istable(L, 1) && lua_getmetatable(L, 1);
  if (marked) gl_json_push_array(L);
  lua_pushboolean(L, marked && (lua_rawequal(L, -1, -2) || gl_json_says_array(L, 1)));
  return 1;
}

static const luaL_Reg functions[] = {
  {"array", json_array},
  {"decode", json_decode},
  {"encode", json_encode},
  {"is_array", json_is_array},
  {NULL, NULL},
};

int luaopen_green_json(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
