/* SPDX-License-Identifier: MIT
 *
 * Reads all that answers one request, for a client: interim responses, the final one, its body and trailers (h1/reader.h reads each), and
 * says what went wrong. Plain C: no Lua, no loop.
 *
 *  1. Bytes behind the end of the response are not read: gl_response_read returns the number of those that were.
 *  2. Only a body until close may end by the end of the connection; everywhere else that is an error (gl_h1_read_end).
 *  3. `limits` bound all heads together, the interim ones and the final one, and the trailers; framing is bounded in proportion to the
 *     body.
 */
#ifndef GL_H1_RESPONSE_READER_H
#define GL_H1_RESPONSE_READER_H

#include "h1/reader.h"
#include "h1/rules.h"

typedef struct gl_response_reader gl_response_reader;

/* The functions that a reader calls. One that returns false stops the reader, which is then BAD; the function may set `wrong` before. */
typedef struct gl_response_user {
  bool (*head)(gl_response_reader *r);    /* the final head is complete */
  bool (*interim)(gl_response_reader *r); /* a head with a status 1xx is complete */
  bool (*body)(gl_response_reader *r, const char *bytes, size_t n); /* the next bytes of the body, valid during the call */
} gl_response_user;

struct gl_response_reader {
  gl_h1_reader h1;      /* in DONE the response has ended, in BAD it is refused */
  const gl_response_user *user;
  void *owner;          /* for the functions of `user` */
  const char *wrong;    /* BAD: what is wrong with the response, in words */
  bool too_large;       /* BAD: the response exceeds a limit */
  bool no_memory;       /* BAD: there was no memory for the response */
  bool begun;           /* a byte of the response has come */
};

/* Prepares for a response, whose head goes into `head`, which is empty and must live until the response has ended. The caller sets `user` and `owner`. */
void gl_response_begin(gl_response_reader *r, gl_head *head, const gl_head_limits *limits, gl_answers answers);

/* Reads on; returns how many of the bytes belong to this response. Fewer than `n`: the response has ended, or is BAD. */
size_t gl_response_read(gl_response_reader *r, const char *bytes, size_t n);

/* Frees the trailers, all that a reader owns. */
void gl_response_free(gl_response_reader *r);

/* Returns the head of the response, once it is complete. */
static inline const gl_head *gl_response_head(const gl_response_reader *r) { return r->h1.head; }

#endif
