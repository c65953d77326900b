/* SPDX-License-Identifier: MIT
 *
 * Names to addresses, by the system's resolver, a thread for each lookup (core/resolver.h).
 */
#ifndef GL_NET_LOOKUP_H
#define GL_NET_LOOKUP_H

#include <uv.h>

#include "core/host.h"

typedef struct gl_lookup gl_lookup;

/* Called once, from the loop. The owner frees `list` (uv_freeaddrinfo), which is NULL unless status is 0. */
typedef void (*gl_lookup_done)(void *owner, int status, struct addrinfo *list);

/* Looks up a host's addresses of a family (AF_UNSPEC: all), with this port in them. `host` is copied. Returns 0 and *out, or
 * UV_E*: then there is no lookup. Calls no Lua. */
int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out);

/* Nobody waits for the lookup any more: `done` is not called, and `l` is not valid any more. */
void gl_lookup_cancel(gl_lookup *l);

#endif
