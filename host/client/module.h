/* SPDX-License-Identifier: MIT
 *
 * The transport for scripts: the module green.http.transport.native, for lualib/green/http/transport.lua.
 */
#ifndef GL_CLIENT_MODULE_H
#define GL_CLIENT_MODULE_H

#include <lua.h>

int luaopen_green_http_transport(lua_State *L);

#endif
