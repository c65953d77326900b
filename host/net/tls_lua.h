/* SPDX-License-Identifier: MIT
 *
 * TLS for scripts: options of TLS, and the TLS methods of sockets.
 */
#ifndef GL_NET_TLS_LUA_H
#define GL_NET_TLS_LUA_H

#include <stdbool.h>

#include <lua.h>

#include "net/tls_config.h"

#define GL_TLS_TIMEOUT 10.0 /* seconds for a handshake */

/* Makes a configuration of the options at idx (true or a table), and pushes its handle, which keeps the configuration. Raises, in the name
 * of `op`, on wrong options, and when a certificate cannot be read. Reads files. */
gl_tls_config *gl_tls_check(lua_State *L, int idx, const char *op, bool server);

/* The same for the options of an HTTP server, which speaks HTTP/1.1, or also HTTP/2 and prefers that (`h2`), and has its own time for a
 * handshake: neither `alpn` nor `timeout`. */
gl_tls_config *gl_tls_check_http(lua_State *L, int idx, const char *op, bool h2);

/* Returns a reference, the caller's, to the configuration of the handle at idx. The handle keeps one only if the configuration is shared:
 * the collector does not know how much memory a configuration has, and would keep the others for too long. */
gl_tls_config *gl_tls_take(lua_State *L, int idx);

/* socket:start_tls([options]): begins TLS on a connected socket and waits for the handshake. */
int gl_socket_start_tls(lua_State *L);

/* socket:tls([timeout]) -> a table with the parameters of the connection, or nil without TLS. Waits for the handshake. */
int gl_socket_tls(lua_State *L);

/* Creates the class of configurations; call once per host. */
void gl_tls_class(lua_State *L);

#endif
