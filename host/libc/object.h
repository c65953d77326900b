/* SPDX-License-Identifier: MIT
 *
 * Three functions of Lua's API as C modules find them, exported under the names of Lua's own (host/cmake/symbols.cmake): C functions
 * get at their objects by these, and so wait there for their turn (libc/hold.h).
 */
#ifndef GL_LIBC_OBJECT_H
#define GL_LIBC_OBJECT_H

#include <lua.h>

void *gl_object_lua_touserdata(lua_State *L, int idx);
void *gl_object_luaL_checkudata(lua_State *L, int idx, const char *name);
void *gl_object_luaL_testudata(lua_State *L, int idx, const char *name);

#endif
