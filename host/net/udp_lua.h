/* SPDX-License-Identifier: MIT
 *
 * UDP sockets for scripts.
 */
#ifndef GL_NET_UDP_LUA_H
#define GL_NET_UDP_LUA_H

#include <lua.h>

/* net.udp([options]) -> a UDP socket, bound. Does not wait. Raises on wrong options, and when it cannot be bound. */
int gl_net_udp(lua_State *L);

/* Creates the class of UDP sockets; call once per host. */
void gl_udp_class(lua_State *L);

#endif
