/* SPDX-License-Identifier: MIT
 *
 * Where a request goes, as its table says: an origin, made of host, proxy and TLS identity. Every function here may raise.
 */
#ifndef GL_CLIENT_DESTINATION_H
#define GL_CLIENT_DESTINATION_H

#include "transport/pool.h"

typedef struct gl_destination {
  const char *host;       /* the server that the request is for */
  int port;
  const char *path;       /* of a unix socket; NULL: none */
  const char *proxy_host; /* NULL: no proxy */
  const char *proxy_auth; /* value of Proxy-Authorization, checked; NULL: none */
  int proxy_port;
  bool https;
} gl_destination;

/* Reads scheme, host, port, unix and proxy of the table at index 1, which keeps the strings. `out` is zeroed. */
void gl_destination_read(lua_State *L, gl_destination *out);

/* Returns the origin of a destination, with one use more, the caller's: one that is there, or a new one, for which files of
 * certificates may be read. Leaves strings on the stack. */
gl_origin *gl_destination_origin(lua_State *L, gl_pool *p, const gl_destination *to);

#define GL_AUTHORITY_MAX (GL_HOST_MAX + 16)

/* Writes the authority, "example.org" or "[::1]:8080", with the port if it is not the scheme's, and returns its length. */
size_t gl_destination_authority(const gl_destination *to, char out[GL_AUTHORITY_MAX]);

#endif
