/* SPDX-License-Identifier: MIT
 *
 * Datagrams for scripts.
 */
#ifndef GL_NET_UDP_LUA_H
#define GL_NET_UDP_LUA_H

#include <lua.h>

/* udp([options]) -> datagram socket, bound. Does not wait. */
int gl_net_udp(lua_State *L);

/* Creates the class. Once per host. */
void gl_udp_class(lua_State *L);

#endif
