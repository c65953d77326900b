/* SPDX-License-Identifier: MIT
 *
 * The head of a request of HTTP/2 while its fields arrive (RFC 9113, 8.3): it becomes a gl_head, as the head of HTTP/1 does, and is held to
 * the same rules. nghttp2 has checked what is said of fields in general: names in lower case, no control characters, pseudo fields once,
 * known and in front, none that is about a connection, a Content-Length that is a number. Plain C: no Lua, no loop.
 *
 *     gl_h2_request_begin --> (gl_h2_request_field)* --> gl_h2_request_end --> the head is complete, or refused (gl_head.refuse_status)
 *
 * 1. The text of a gl_head begins with the target, whatever the order in which pseudo fields come: so these are kept until the first other
 *    field, or the end, and then become the beginning of the head, the authority as its Host.
 * 2. Fields of a head that is refused are thrown away; their number and size are still counted in `bytes`.
 */
#ifndef GL_H2_REQUEST_H
#define GL_H2_REQUEST_H

#include <nghttp2/nghttp2.h>

#include "h1/head.h"

typedef struct gl_h2_request {
  gl_head *head;          /* the caller's */
  nghttp2_rcbuf *method, *target, *authority, *scheme, *protocol; /* referenced; NULL: did not come, or is in the head */
  uint64_t bytes;         /* of the fields that came: names, values and 32 for each (RFC 9113, 10.5.1) */
  bool settled;           /* the pseudo fields are in the head */
} gl_h2_request;

/* Begins a head, which is empty. */
void gl_h2_request_begin(gl_h2_request *r, gl_head *head);

/* Adds a field. */
void gl_h2_request_field(gl_h2_request *r, const gl_head_limits *max, nghttp2_rcbuf *name, nghttp2_rcbuf *value);

/* Completes the head; `ends`: no body follows. Returns 0, or -1: the head is refused. */
int gl_h2_request_end(gl_h2_request *r, const gl_head_limits *max, bool ends);

/* Lets go of what is referenced. Harmless when nothing is. */
void gl_h2_request_drop(gl_h2_request *r);

/* Adds a field to the trailers of a request, NULL for lack of memory; it counts in `bytes` in any case. Returns 0, or -1: they are refused. */
int gl_h2_request_trailer(gl_h2_request *r, gl_head *trailers, const gl_head_limits *max, nghttp2_rcbuf *name, nghttp2_rcbuf *value);

#endif
