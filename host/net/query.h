/* SPDX-License-Identifier: MIT
 *
 * One question to the system's resolver (hosts file, search domains and all), and its answer. Plain C: no Lua, no loop.
 */
#ifndef GL_NET_QUERY_H
#define GL_NET_QUERY_H

#include <netdb.h>
#include <stdbool.h>

typedef struct gl_query {
  const char *host;      /* owned by whoever made the query */
  char service[8];       /* the port, in decimal */
  int family;            /* AF_UNSPEC: all */
  bool loopback;         /* the answer is this machine's own address, whatever the name is */
  int status;            /* the answer: 0 or UV_E*, */
  struct addrinfo *list; /* and the addresses (uv_freeaddrinfo); NULL unless status is 0 */
} gl_query;

/* Asks, and stores the answer. Blocks the calling thread for as long as a name server is silent. */
void gl_query_run(gl_query *q);

#endif
