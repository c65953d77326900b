/* SPDX-License-Identifier: MIT
 *
 * net.connect for scripts: looks the name up, tries its addresses (net/dial.h), and begins TLS.
 */
#ifndef GL_NET_DIAL_LUA_H
#define GL_NET_DIAL_LUA_H

#include <lua.h>

/* net.connect(address [, timeout or options]), net.connect(options) -> a socket. Waits until the socket is connected and secured. Raises
 * on wrong options, and what connecting ended with. */
int gl_net_connect(lua_State *L);

#endif
