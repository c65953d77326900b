/* SPDX-License-Identifier: MIT
 *
 * What a head must satisfy as a whole (RFC 9110 and 9112), once all its lines are there; what llhttp lets pass, since it
 * takes more than one line to see, is checked here.
 */
#ifndef GL_H1_RULES_H
#define GL_H1_RULES_H

#include "h1/head.h"

/* Checks the head of a request or a response, and takes the parser's view of its length. `bodiless`: the response answers
 * HEAD, or CONNECT, and has no body whatever it says. Returns 0, or -1 with the head refused. */
int gl_request_check(gl_head *h, const gl_head_limits *max, llhttp_t *parser);
int gl_response_check(gl_head *h, bool bodiless, llhttp_t *parser);

#endif
