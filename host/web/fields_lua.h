/* SPDX-License-Identifier: MIT
 *
 * green.http.fields.native: what host/h1/fields.h does, for the Lua half of the server (lualib/green). Not for scripts. No function
 * raises over what a client wrote: it returns nil.
 */
#ifndef GL_WEB_FIELDS_LUA_H
#define GL_WEB_FIELDS_LUA_H

#include <lua.h>

int luaopen_green_http_fields(lua_State *L);

#endif
