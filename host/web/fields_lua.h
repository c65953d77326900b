/* SPDX-License-Identifier: MIT
 *
 * green.http.fields.native: the functions of h1/fields.h for the Lua half of the server (lualib/green), and not for scripts. Every
 * function returns nil for malformed input of a client, and raises only for
 * a wrong argument or without memory.
 */
#ifndef GL_WEB_FIELDS_LUA_H
#define GL_WEB_FIELDS_LUA_H

#include <lua.h>

int luaopen_green_http_fields(lua_State *L);

#endif
