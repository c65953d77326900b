/* SPDX-License-Identifier: MIT
 *
 * What a client is told when there is no answer for it: a small page for browsers, JSON for all other clients. The texts tell
 * nothing internal. No function here raises, waits or calls Lua.
 */
#ifndef GL_HTTP_FAILURE_H
#define GL_HTTP_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "h1/fields.h"
#include "message/exchange.h"

#define GL_FAILURE_BODY 4096 /* bytes of a body, at most */

typedef struct gl_failure_body {
  const char *type; /* its Content-Type */
  size_t n;         /* of `bytes` */
  char bytes[GL_FAILURE_BODY];
} gl_failure_body;

/* Writes the body for a status (404) and a reason ("no such order"), which may quote what a client sent: bytes that are no
 * text are replaced, and a reason that is too long is cut. `accept`: the Accept field of the request, or empty. */
void gl_failure_write(gl_failure_body *body, gl_text accept, int status, const char *reason);

/* Sends such a body as the whole answer, or cuts the exchange if there is no memory for that. `close`: the answer is the
 * connection's last one, as it always is for statuses that say that the request was not read to its end. */
void gl_failure_send(gl_exchange *x, gl_text accept, int status, const char *reason, bool close);

#endif
