/* SPDX-License-Identifier: MIT
 *
 * Reads the first line of a message, piece by piece: of a request (request_line.c) and of a response (status_line.c).
 */
#ifndef GL_H1_START_LINE_H
#define GL_H1_START_LINE_H

#include "h1/fields.h"
#include "h1/head.h"

/* Reads on in the line; returns how many of the bytes belong to the line. h->line is GL_LINE_DONE once the line is complete; the head is
 * refused (gl_head.refuse_status) if the line is malformed or too long. */
size_t gl_request_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
size_t gl_status_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Sets the method and the target of an empty head, by the same rules, where they are no line (HTTP/2). The head is refused if either is
 * malformed or too long. */
void gl_request_line_set(gl_head *h, const gl_head_limits *max, gl_text method, gl_text target);

#endif
