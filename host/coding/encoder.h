/* SPDX-License-Identifier: MIT
 *
 * Encoders for the content codings that are made while an answer leaves: gzip and zstd. Input and output of a run are bounded by its caller.
 * No Lua, no loop. The memory of an encoder is counted (core/memory.h). The library of a coding is loaded with its first encoder.
 *
 *     (none) --gl_encoder_start--> ready --gl_encoder_run: MORE, FULL--> ready --gl_encoder_run with GL_ENCODE_END: MORE--> ended
 *                                    '---gl_encoder_run: NO_MEMORY--> failed
 *     any --gl_encoder_stop--> stopped
 */
#ifndef GL_CODING_ENCODER_H
#define GL_CODING_ENCODER_H

#include <stdbool.h>
#include <stddef.h>

#include "coding/io.h"

typedef struct gl_encoder gl_encoder;

typedef enum gl_encode_then {
  GL_ENCODE_GO_ON, /* some of the input may stay with the encoder */
  GL_ENCODE_FLUSH, /* the reader can decode all of the input now */
  GL_ENCODE_END,   /* the body ends behind the input */
} gl_encode_then;

typedef enum gl_encoded {
  GL_ENCODED_MORE,      /* all input was taken, and what it is followed by has been done */
  GL_ENCODED_FULL,      /* the room is full: run again with more, and the same `then` */
  GL_ENCODED_NO_MEMORY, /* memory was refused */
} gl_encoded;

/* One coding. Only encoder.c calls its functions. */
typedef struct gl_coding {
  const char *name;    /* the name in Content-Encoding */
  const char *library; /* the shared library that the coding needs */
  bool (*start)(gl_encoder *e); /* makes e->state; false: out of memory */
  gl_encoded (*run)(gl_encoder *e, gl_coding_io *io, gl_encode_then then);
  void (*stop)(gl_encoder *e); /* frees e->state, which may be NULL */
} gl_coding;

struct gl_encoder {
  const gl_coding *coding;
  void *state; /* the library's encoder; NULL: none */
};

extern const gl_coding gl_coding_gzip, gl_coding_zstd;

/* Returns the coding of this name. NULL: there is no encoder for it. */
const gl_coding *gl_coding_find(const char *name, size_t n);

/* Initializes `e` for a coding, whose library it loads. NULL: done. Else the reason why the library cannot be loaded, a static text, or an
 * empty text: out of memory. Call gl_encoder_stop in every case. */
const char *gl_encoder_start(gl_encoder *e, const gl_coding *coding);

/* Encodes until the input is read and `then` is done, or the room is full. */
gl_encoded gl_encoder_run(gl_encoder *e, gl_coding_io *io, gl_encode_then then);

/* Frees the library's encoder. Idempotent. */
void gl_encoder_stop(gl_encoder *e);

#endif
