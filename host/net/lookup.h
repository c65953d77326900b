/* SPDX-License-Identifier: MIT
 *
 * Names to addresses, by the system's resolver: hosts file, search domains and all. It blocks for as long as a name server is
 * silent, so each lookup has a thread of its own: those that hang hold up neither the others, nor files, nor the end of the
 * process. Names the machine knows by itself have threads of their own, and the names of one domain get only some of them.
 */
#ifndef GL_NET_LOOKUP_H
#define GL_NET_LOOKUP_H

#include <uv.h>

#include "core/host.h"

#define GL_LOOKUP_THREADS 64 /* more lookups wait for one of these to end */
#define GL_LOOKUP_DOMAIN 16  /* ... of which one domain has so many */

typedef struct gl_lookup gl_lookup;

/* Called once, from the loop. `list` is the owner's now (uv_freeaddrinfo); NULL unless status is 0. */
typedef void (*gl_lookup_done)(void *owner, int status, struct addrinfo *list);

/* Once in a state, before the first lookup. May raise (memory, descriptors). */
void gl_lookup_init(lua_State *L);

/* Look up a host's addresses of a family (AF_UNSPEC: all), with this port in them. `host` is copied. 0 or UV_E*: then there is
 * no lookup. Calls no Lua. */
int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out);

/* Nobody wants it any more: `done` is not called. */
void gl_lookup_cancel(gl_lookup *l);

#endif
