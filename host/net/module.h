/* SPDX-License-Identifier: MIT
 *
 * The Lua module green.net: sockets, listeners, datagrams, TLS, names.
 */
#ifndef GL_NET_MODULE_H
#define GL_NET_MODULE_H

#include <lua.h>

int luaopen_green_net(lua_State *L);

#endif
