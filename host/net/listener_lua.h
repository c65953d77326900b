/* SPDX-License-Identifier: MIT
 *
 * Listening sockets for scripts. The TLS handshakes of accepted connections run by themselves, side by side.
 */
#ifndef GL_NET_LISTENER_LUA_H
#define GL_NET_LISTENER_LUA_H

#include <lua.h>

/* net.listen(address [, options]), net.listen(options) -> a listener. Does not wait. Raises on wrong options, and when the address cannot
 * be listened on. */
int gl_net_listen(lua_State *L);

/* Creates the class of listeners; call once per host. */
void gl_listener_class(lua_State *L);

#endif
