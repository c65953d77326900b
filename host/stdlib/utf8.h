/* SPDX-License-Identifier: MIT
 *
 * utf8.len, utf8.offset, of any length. (The other functions of utf8 do at most as much as Lua's stack has room for.)
 */
#ifndef GL_STDLIB_UTF8_H
#define GL_STDLIB_UTF8_H

#include <lua.h>

int gl_utf8_len(lua_State *L);
int gl_utf8_offset(lua_State *L);

#endif
