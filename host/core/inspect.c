/* SPDX-License-Identifier: MIT */
#include "core/inspect.h"

#include "core/host.h"

static int debug_census(lua_State *L) {
  const gl_census *c = &gl_host_of(L)->census;
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, c->tasks);
  lua_setfield(L, -2, "tasks");
  lua_pushinteger(L, c->ops);
  lua_setfield(L, -2, "ops");
  lua_pushinteger(L, c->handles);
  lua_setfield(L, -2, "handles");
  lua_pushinteger(L, c->parked);
  lua_setfield(L, -2, "parked");
  lua_pushinteger(L, c->pins);
  lua_setfield(L, -2, "pins");
  return 1;
}

int gl_open_debug(lua_State *L) {
  static const luaL_Reg functions[] = {{"census", debug_census}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
