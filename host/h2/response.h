/* SPDX-License-Identifier: MIT
 *
 * The head of a response as nghttp2 wants it: a list of fields. Plain C: no Lua, no loop.
 */
#ifndef GL_H2_RESPONSE_H
#define GL_H2_RESPONSE_H

#include <nghttp2/nghttp2.h>

#include "h1/writer.h"
#include "message/head.h"

#define GL_H2_FIELDS 32 /* fields of a list that needs no memory */

typedef struct gl_h2_fields {
  nghttp2_nv *list;
  size_t n;
  nghttp2_nv few[GL_H2_FIELDS];
  char status[3], length[20], date[GL_H1_DATE];
} gl_h2_fields;

/* Lists the fields of a response's head, which point into the head and into *f, so that both must outlive it. Fields that HTTP/2 forbids
 * are left out (RFC 9113, 8.2.2). False: out of memory. */
bool gl_h2_fields_of_head(gl_h2_fields *f, const gl_message_head *m, gl_h1_date *date);

/* The same for an interim response. */
bool gl_h2_fields_of_interim(gl_h2_fields *f, int status, const gl_fields *fields);

/* The same for trailers. */
bool gl_h2_fields_of_trailers(gl_h2_fields *f, const gl_fields *trailers);

/* Frees the list of *f. */
void gl_h2_fields_drop(gl_h2_fields *f);

/* Returns a copy of the list with all its texts, one block which free() frees. NULL: out of memory. */
nghttp2_nv *gl_h2_fields_copy(const gl_h2_fields *f);

#endif
