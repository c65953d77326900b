/* SPDX-License-Identifier: MIT
 *
 * Listening sockets for scripts. TLS handshakes of accepted connections run by themselves, beside each other.
 */
#ifndef GL_NET_LISTENER_LUA_H
#define GL_NET_LISTENER_LUA_H

#include <lua.h>

/* listen(address [, options]), listen(options) -> listener */
int gl_net_listen(lua_State *L);

/* Creates the class. Once per host. */
void gl_listener_class(lua_State *L);

#endif
