/* SPDX-License-Identifier: MIT
 *
 * Connecting, for scripts: the name is looked up, its addresses are tried, and TLS is begun.
 */
#ifndef GL_NET_DIAL_LUA_H
#define GL_NET_DIAL_LUA_H

#include <lua.h>

/* connect(address [, timeout or options]), connect(options) -> socket */
int gl_net_connect(lua_State *L);

#endif
