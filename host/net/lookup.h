/* SPDX-License-Identifier: MIT
 *
 * Names to addresses, by the system's resolver: hosts file, search domains and all. The resolver blocks for as long as a name
 * server is silent, so each lookup has a thread of its own: lookups that hang hold up neither other lookups, nor files, nor the
 * end of the process. Who gets a thread next is decided in lookup_queue.h.
 *
 *     gl_lookup_start --> WAITING --(a thread is free)--> RUNNING --(thread_main: answered)--> ANSWERED --on_answered--> freed
 *                            |                               |
 *                            '-- gl_lookup_cancel: freed     '-- gl_lookup_cancel: `done` is forgotten, the thread goes on
 *
 *  1. `done` is called once, in on_answered, unless gl_lookup_cancel came before.
 *  2. While a lookup is RUNNING its thread alone touches `query`; every other member is the loop's.
 *  3. The resolver (struct resolver) lives until the host and the last thread have let go of it.
 */
#ifndef GL_NET_LOOKUP_H
#define GL_NET_LOOKUP_H

#include <uv.h>

#include "core/host.h"

typedef struct gl_lookup gl_lookup;

/* Called once, from the loop. The owner frees `list` (uv_freeaddrinfo), which is NULL unless status is 0. */
typedef void (*gl_lookup_done)(void *owner, int status, struct addrinfo *list);

/* Makes the resolver of a state, once; call before the first lookup. May raise (memory, descriptors). */
void gl_lookup_init(lua_State *L);

/* Looks up a host's addresses of a family (AF_UNSPEC: all), with this port in them. `host` is copied. Returns 0 and *out, or
 * UV_E*: then there is no lookup. Calls no Lua. */
int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out);

/* Nobody waits for the lookup any more: `done` is not called, and `l` is not valid any more. */
void gl_lookup_cancel(gl_lookup *l);

#endif
