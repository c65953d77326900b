/* SPDX-License-Identifier: MIT
 *
 * The first line of a message, read piece by piece: a request's (request_line.c) and a response's (status_line.c).
 */
#ifndef GL_H1_START_LINE_H
#define GL_H1_START_LINE_H

#include "h1/head.h"

/* Reads on in the line. Returns how many of the bytes belong to it; h->line is GL_LINE_DONE at its end, and the head is
 * refused if the line is malformed. */
size_t gl_request_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
size_t gl_status_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

#endif
