/* SPDX-License-Identifier: MIT
 *
 * The body of an HTTP/1 message on its way out, in pieces: how the peer will find its end. Both sides' carriers have one. Zeroed memory
 * is a message without a body. No function here calls Lua or waits.
 */
#ifndef GL_MESSAGE_BODY_OUT_H
#define GL_MESSAGE_BODY_OUT_H

#include "core/open_file.h"
#include "h1/reader.h"
#include "h1/writer.h"
#include "message/head.h"
#include "net/stream.h"

#define GL_BODY_OUT_FRAME (GL_H1_CHUNK + 4) /* bytes around a piece, at most */

typedef struct gl_body_out {
  uint64_t owed; /* GL_BODY_LENGTH: bytes that are still to be sent */
  uint8_t mode;  /* gl_body_mode */
  bool unclosed; /* GL_BODY_CHUNKED: the last chunk was a file, behind which the end of the chunk is to be written */
} gl_body_out;

/* May so many bytes more be sent? */
static inline bool gl_body_out_takes(const gl_body_out *b, uint64_t n) { return b->mode != GL_BODY_LENGTH || n <= b->owed; }

/* Counts a piece that gl_body_out_takes, and writes it with its frame, for which the stream has room. NULL: the stream is gone, and the
 * piece is thrown away. */
void gl_body_out_send(gl_body_out *b, gl_stream *s, const char *bytes, size_t n);

/* Counts a part of a file that gl_body_out_takes, and sends it with its frame, as gl_stream_send_file has it. False: out of memory, and
 * nothing was sent. */
bool gl_body_out_send_file(gl_body_out *b, gl_stream *s, gl_open_file *file, uint64_t at, uint64_t n);

/* Writes what ends the body: of a chunked one the last chunk and the trailers (NULL: none), which other bodies cannot have. The caller
 * has made sure that nothing is owed. */
void gl_body_out_end(gl_body_out *b, gl_stream *s, const gl_fields *trailers);

#endif
