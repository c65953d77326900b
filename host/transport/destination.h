/* SPDX-License-Identifier: MIT
 *
 * Where a request goes, as its table says: an origin, made of host, proxy and TLS identity. Everything here may raise.
 */
#ifndef GL_TRANSPORT_DESTINATION_H
#define GL_TRANSPORT_DESTINATION_H

#include "transport/pool.h"

typedef struct gl_destination {
  const char *host;       /* whom the request is for */
  int port;
  const char *path;       /* a unix socket; NULL = none */
  const char *proxy_host; /* NULL = none */
  const char *proxy_auth; /* what the proxy is told of who asks; NULL = nothing */
  int proxy_port;
  bool https;
} gl_destination;

/* Reads scheme, host, port, unix and proxy of the table at index 1, which keeps the strings. */
void gl_destination_read(lua_State *L, gl_destination *out);

/* Its origin, used once more: one that is there, or a new one, for which certificates may be read. */
gl_origin *gl_destination_origin(lua_State *L, gl_pool *p, const gl_destination *to);

/* "example.org", "[::1]:8080"; with the port in any case if `always`. */
void gl_destination_add_authority(luaL_Buffer *b, const gl_destination *to, bool always);

/* "Proxy-Authorization: ...", for a proxy that wants it. */
void gl_destination_add_proxy_auth(lua_State *L, luaL_Buffer *b, const gl_destination *to);

#endif
