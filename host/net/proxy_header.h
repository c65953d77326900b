/* SPDX-License-Identifier: MIT
 *
 * The header of the PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): in front of the bytes of a connection, a proxy
 * says for whom it connects. No Lua, no loop.
 */
#ifndef GL_NET_PROXY_HEADER_H
#define GL_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define GL_PROXY_HEADER_MAX ((size_t)16 + 65535) /* bytes of the longest one */

/* What a header says of the client. */
typedef struct gl_proxied {
  int family;                      /* AF_INET, AF_INET6 with `address`; AF_UNIX: it has none; AF_UNSPEC: the proxy speaks for itself, or does not know */
  struct sockaddr_storage address;
  bool says_tls;                   /* version 2: it says whether the client's connection has TLS, */
  bool secure;                     /* and whether it does */
} gl_proxied;

/* Reads the header that `bytes` begin with. Returns its length; 0: they are the beginning of one; -1: they are none. */
long gl_proxy_header_read(const char *bytes, size_t n, gl_proxied *out);

#endif
