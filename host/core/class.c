/* SPDX-License-Identifier: MIT */
#include "core/class.h"

#include <string.h>

#include "core/misuse.h"

void gl_class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods ? methods : none, 0);
  if (methods) {
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
  }
  luaL_setfuncs(L, meta ? meta : none, 1); /* pops the methods */
  lua_pop(L, 1);
}

void *gl_class_check(lua_State *L, int idx, const char *name) {
  void **at = idx == 1 ? gl_class_self(L, name) : luaL_checkudata(L, idx, name);
  if (!*at) luaL_error(L, "the %s was collected", name);
  return *at;
}

void gl_class_finalizer(lua_State *L, lua_CFunction gc) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

/* "green.socket" is called socket. */
static const char *common_name(const char *class) {
  const char *dot = strrchr(class, '.');
  return dot ? dot + 1 : class;
}

void *gl_class_self(lua_State *L, const char *name) {
  lua_Debug ar;
  void *self = luaL_testudata(L, 1, name);
  if (self) return self;
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "n", &ar) || !ar.name || strcmp(ar.namewhat, "method") == 0) return luaL_checkudata(L, 1, name);
  const char *object = common_name(name);
  gl_error_misuse(L, "use %s:%s(...), not %s.%s(...)", object, ar.name, object, ar.name);
  return NULL;
}
