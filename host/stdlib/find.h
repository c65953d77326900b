/* SPDX-License-Identifier: MIT
 *
 * string.find, string.match, string.gmatch. A gmatch iterator that several tasks call in turns gives each match to one of them or
 * more: it begins where the last one that has returned ended.
 */
#ifndef GL_STDLIB_FIND_H
#define GL_STDLIB_FIND_H

#include <lua.h>

int gl_string_find(lua_State *L);
int gl_string_match(lua_State *L);
int gl_string_gmatch(lua_State *L);

#endif
