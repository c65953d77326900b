/* SPDX-License-Identifier: MIT
 *
 * Rules that a head must satisfy as a whole (RFC 9110 and 9112), checked once all its lines have arrived. llhttp, which reads line by line,
 * does not check them.
 */
#ifndef GL_H1_RULES_H
#define GL_H1_RULES_H

#include "h1/head.h"

/* Checks the head of a request or a response, and sets its members about the body and the connection; the length comes from the parser.
 * `bodiless`: the response answers HEAD or CONNECT, and has no body whatever its head says. Returns 0, or -1: the head is refused. */
int gl_request_check(gl_head *h, const gl_head_limits *max, llhttp_t *parser);
int gl_response_check(gl_head *h, bool bodiless, llhttp_t *parser);

#endif
