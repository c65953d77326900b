/* SPDX-License-Identifier: MIT
 *
 * Rules that a head must satisfy as a whole (RFC 9110 and 9112), checked once all its lines have arrived. llhttp, which reads line by line,
 * does not check them.
 */
#ifndef GL_H1_RULES_H
#define GL_H1_RULES_H

#include "h1/head.h"

/* What a response answers: the response to HEAD has no body whatever its head says; a response 2xx to CONNECT has none either, and what its head
 * says of one is ignored (RFC 9110, 9.3.6). */
typedef enum gl_answers { GL_ANSWERS_ANY, GL_ANSWERS_HEAD, GL_ANSWERS_CONNECT } gl_answers;

/* Checks the head of a request or a response, and sets its members about the body and the connection; the length comes from the parser.
 * Returns 0, or -1: the head is refused. */
int gl_request_check(gl_head *h, const gl_head_limits *max, llhttp_t *parser);
int gl_response_check(gl_head *h, gl_answers answers, llhttp_t *parser);

/* The same for a request of any version, but for its body. */
int gl_request_check_head(gl_head *h, const gl_head_limits *max);

/* Is the text a host, a name or an address, with or without a port, as Host has it (RFC 9110, 7.2)? */
bool gl_is_host(const char *text, size_t n);

#endif
