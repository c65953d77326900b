/* SPDX-License-Identifier: MIT
 *
 * string.lower, rep, reverse, upper, of any length.
 */
#ifndef GL_STDLIB_TEXT_H
#define GL_STDLIB_TEXT_H

#include <lua.h>

int gl_string_lower(lua_State *L);
int gl_string_rep(lua_State *L);
int gl_string_reverse(lua_State *L);
int gl_string_upper(lua_State *L);

#endif
