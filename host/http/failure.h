/* SPDX-License-Identifier: MIT
 *
 * What a client is told when there is no answer for it: a small page for browsers, JSON for everybody else. The texts say
 * nothing internal.
 */
#ifndef GL_HTTP_FAILURE_H
#define GL_HTTP_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "h1/fields.h"
#include "http/exchange.h"

#define GL_FAILURE_BODY 4096 /* bytes of a body, at most */

typedef struct gl_failure_body {
  const char *type; /* of its content */
  size_t n;
  char bytes[GL_FAILURE_BODY];
} gl_failure_body;

/* Writes the body for a status (404) and a reason ("no such order"), which may quote what a client sent: bytes that are no
 * text are replaced. `accept`: the field of the request, empty when it has none. */
void gl_failure_write(gl_failure_body *body, gl_text accept, int status, const char *reason);

/* Sends such a body as the whole answer. `close`: it is the connection's last one, as it is in any case for statuses that say
 * that the request was not read to its end. Without memory for it, the exchange is cut. Calls no Lua. */
void gl_failure_send(gl_exchange *x, gl_text accept, int status, const char *reason, bool close);

#endif
