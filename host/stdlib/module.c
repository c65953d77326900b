/* SPDX-License-Identifier: MIT */
#include "stdlib/module.h"

#include <lauxlib.h>

#include "stdlib/array.h"
#include "stdlib/find.h"
#include "stdlib/gsub.h"
#include "stdlib/load.h"
#include "stdlib/sort.h"
#include "stdlib/text.h"
#include "stdlib/utf8.h"

static const luaL_Reg string_functions[] = {
  {"find", gl_string_find},
  {"gmatch", gl_string_gmatch},
  {"gsub", gl_string_gsub},
  {"lower", gl_string_lower},
  {"match", gl_string_match},
  {"rep", gl_string_rep},
  {"reverse", gl_string_reverse},
  {"upper", gl_string_upper},
  {NULL, NULL},
};

static const luaL_Reg table_functions[] = {
  {"concat", gl_table_concat},
  {"insert", gl_table_insert},
  {"move", gl_table_move},
  {"remove", gl_table_remove},
  {"sort", gl_table_sort},
  {"unpack", gl_table_unpack},
  {NULL, NULL},
};

static const luaL_Reg utf8_functions[] = {
  {"len", gl_utf8_len},
  {"offset", gl_utf8_offset},
  {NULL, NULL},
};

static const luaL_Reg base_functions[] = {
  {"load", gl_load},
  {NULL, NULL},
};

static void replace(lua_State *L, const char *library, const luaL_Reg *functions) {
  lua_getglobal(L, library);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

void gl_install_stdlib(lua_State *L) {
  replace(L, "string", string_functions);
  replace(L, "table", table_functions);
  replace(L, "utf8", utf8_functions);
  replace(L, LUA_GNAME, base_functions);
}
