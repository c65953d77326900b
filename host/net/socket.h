/* SPDX-License-Identifier: MIT
 *
 * Sockets for scripts: the Lua module green.net.
 */
#ifndef GL_NET_SOCKET_H
#define GL_NET_SOCKET_H

#include <lua.h>

/* connect(address [, timeout]) and listen(address): TCP and unix sockets. */
int gl_open_net(lua_State *L);

#endif
