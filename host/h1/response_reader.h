/* SPDX-License-Identifier: MIT
 *
 * Reads what answers one request: interim responses, the final one, its body and trailers (h1/reader.h reads each), for a
 * client, who has to know what went wrong and whether the connection may serve again. Plain C.
 *
 *  1. Bytes behind the end are never taken: gl_response_read returns how many it took.
 *  2. Only a body until close may end by the end of the connection; everywhere else that is an error (gl_response_finish).
 *  3. What is kept is bounded by `limits`: heads, all interim ones together, trailers; framing by what it frames.
 */
#ifndef GL_H1_RESPONSE_READER_H
#define GL_H1_RESPONSE_READER_H

#include "h1/reader.h"

typedef struct gl_response_reader gl_response_reader;

/* Whom the reader tells. False stops it: it is BAD, and `wrong` says why if that was set. */
typedef struct gl_response_user {
  bool (*head)(gl_response_reader *r);    /* the final head is complete */
  bool (*interim)(gl_response_reader *r); /* a 1xx head is */
  bool (*body)(gl_response_reader *r, const char *bytes, size_t n); /* the next bytes of the body, valid during the call */
} gl_response_user;

struct gl_response_reader {
  gl_h1_reader h1;      /* in DONE the response has ended, in BAD it is refused */
  const gl_response_user *user;
  void *owner;
  const char *wrong;    /* BAD: what is wrong with it */
  bool too_large;       /* ... which is its size */
  bool no_memory;       /* ... which is that there was no memory for it */
  bool begun;           /* a byte of it has come */
};

/* Prepares for a response: `head` is empty, and to stay until it was used. `bodiless`: it answers HEAD or CONNECT. */
void gl_response_begin(gl_response_reader *r, gl_head *head, const gl_head_limits *limits, bool bodiless);

/* Reads on; returns how many of the bytes belong to this response. Fewer than n: it has ended, or is bad. */
size_t gl_response_read(gl_response_reader *r, const char *bytes, size_t n);

/* Frees the trailers. */
void gl_response_free(gl_response_reader *r);

/* Its head, once that is complete. */
static inline const gl_head *gl_response_head(const gl_response_reader *r) { return r->h1.head; }

#endif
