/* SPDX-License-Identifier: MIT
 *
 * The body of an HTTP/1 message on its way out, in pieces: how the peer will find its end. Both sides' carriers have one. Zeroed memory
 * is a message without a body. No function here calls Lua or waits.
 */
#ifndef GL_MESSAGE_BODY_OUT_H
#define GL_MESSAGE_BODY_OUT_H

#include "h1/reader.h"
#include "h1/writer.h"
#include "message/head.h"
#include "net/stream.h"

#define GL_BODY_OUT_FRAME (GL_H1_CHUNK + 2) /* bytes around a piece, at most */

typedef struct gl_body_out {
  uint64_t owed; /* GL_BODY_LENGTH: bytes that are still to be sent */
  uint8_t mode;  /* gl_body_mode */
} gl_body_out;

/* May so many bytes more be sent? */
static inline bool gl_body_out_takes(const gl_body_out *b, size_t n) { return b->mode != GL_BODY_LENGTH || n <= b->owed; }

/* Counts a piece that gl_body_out_takes, and writes it with its frame, for which the stream has room. NULL: the stream is gone, and the
 * piece is thrown away. */
void gl_body_out_send(gl_body_out *b, gl_stream *s, const char *bytes, size_t n);

/* Writes what ends the body: of a chunked one the last chunk and the trailers (NULL: none), which other bodies cannot have. The caller
 * has made sure that nothing is owed. */
void gl_body_out_end(const gl_body_out *b, gl_stream *s, const gl_fields *trailers);

#endif
