/* SPDX-License-Identifier: MIT
 *
 * How the connections of a pool are spread over the servers.
 */
#include <stdio.h>
#include <string.h>

#include "transport/outbound.h"

static void set_name(const gl_origin_spec *to, char out[GL_POOL_HOST_NAME]) {
  bool v6 = strchr(to->host, ':') != NULL;
  if (to->path) snprintf(out, GL_POOL_HOST_NAME, "unix:%s", to->path);
  else snprintf(out, GL_POOL_HOST_NAME, "%s://%s%s%s:%d", to->tls ? "https" : "http", v6 ? "[" : "", to->host, v6 ? "]" : "", to->port);
}

static void note(const gl_origin *o, gl_pool_host *out) {
  *out = (gl_pool_host){.total = o->nconns, .idle = o->nidle, .dialing = o->ndialing, .waiting = o->nwaiting};
  set_name(&o->to, out->name);
}

/* An origin with a line has as many connections as it may have, so that the connections lead to all origins that are used. */
size_t gl_pool_hosts(const gl_pool *p, gl_pool_host *out, size_t room) {
  size_t n = 0;
  for (const gl_outbound *c = p->live; c; c = c->next) {
    gl_origin *o = c->origin;
    if (o->noted) continue;
    o->noted = true;
    if (n++ < room) note(o, &out[n - 1]);
  }
  for (const gl_outbound *c = p->live; c; c = c->next) c->origin->noted = false;
  return n;
}
