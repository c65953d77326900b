/* SPDX-License-Identifier: MIT */
#include "stdlib/module.h"

#include <lauxlib.h>

#include "stdlib/find.h"
#include "stdlib/gsub.h"

static const luaL_Reg string_functions[] = {
  {"find", gl_string_find},
  {"gmatch", gl_string_gmatch},
  {"gsub", gl_string_gsub},
  {"match", gl_string_match},
  {NULL, NULL},
};

static void replace(lua_State *L, const char *library, const luaL_Reg *functions) {
  lua_getglobal(L, library);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

void gl_install_stdlib(lua_State *L) { replace(L, "string", string_functions); }
