/* SPDX-License-Identifier: MIT */
#include "core/class.h"

void gl_class_new(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}

void *gl_class_check(lua_State *L, int idx, const char *name) {
  void **at = luaL_checkudata(L, idx, name);
  if (!*at) luaL_error(L, "the %s was collected", name);
  return *at;
}

void gl_class_finalizer(lua_State *L, lua_CFunction gc) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}
