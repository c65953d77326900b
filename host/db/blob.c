/* SPDX-License-Identifier: MIT */
#include "db/blob.h"

#include <lauxlib.h>

#include "core/class.h"

#define BLOB "green.db.blob"

int gl_blob_new(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, BLOB);
  return 1;
}

void gl_blob_class(lua_State *L) {
  if (luaL_getmetatable(L, BLOB) == LUA_TNIL) gl_class_new(L, BLOB, NULL, NULL);
  lua_pop(L, 1);
}

const char *gl_blob_string(lua_State *L, int idx, size_t *len) {
  if (!luaL_testudata(L, idx, BLOB)) return NULL;
  lua_getiuservalue(L, idx, 1);
  const char *s = lua_tolstring(L, -1, len);
  lua_pop(L, 1);
  return s;
}

int luaopen_green_db(lua_State *L) {
  static const luaL_Reg functions[] = {{"blob", gl_blob_new}, {NULL, NULL}};
  gl_blob_class(L);
  luaL_newlib(L, functions);
  return 1;
}
