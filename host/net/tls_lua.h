/* SPDX-License-Identifier: MIT
 *
 * TLS as scripts see it: tables of options, and the methods of sockets.
 */
#ifndef GL_NET_TLS_LUA_H
#define GL_NET_TLS_LUA_H

#include <stdbool.h>

#include <lua.h>

#include "net/tls_config.h"

#define GL_TLS_TIMEOUT 10.0 /* seconds for a handshake */

/* The options at idx (true or a table) as a configuration. Its handle is pushed, and keeps it. Raises in the name of `op`. */
gl_tls_config *gl_tls_check(lua_State *L, int idx, const char *op, bool server);

/* The caller's own reference, from the handle at idx, which keeps only what is shared: the collector does not know how much
 * the others weigh. */
gl_tls_config *gl_tls_take(lua_State *L, int idx);

/* socket:start_tls([options]), and socket:tls([timeout]) -> what was agreed on, or nil */
int gl_socket_start_tls(lua_State *L);
int gl_socket_tls(lua_State *L);

/* Creates the class of configurations. Once per host. */
void gl_tls_class(lua_State *L);

#endif
