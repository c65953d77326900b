/* SPDX-License-Identifier: MIT
 *
 * Decoders for the content codings of HTTP (RFC 9110, 8.4.1): gzip, deflate, br, zstd. Input and output of a run are bounded by its
 * caller, who so decides how long a decompression bomb may take. No Lua, no loop. The memory of a decoder is counted (core/memory.h). The
 * library of a coding is loaded with its first decoder.
 *
 *     (none) --gl_decoder_start--> ready --gl_decoder_run: MORE (give it input), FULL (empty the room)--> ready
 *                                    |---gl_decoder_run: BROKEN, NO_MEMORY--> failed --gl_decoder_stop--> stopped
 *                                    '---gl_decoder_stop------------------------------------------------> stopped
 *
 *  1. The input may end when gl_decoder_ended says so; a body that ends elsewhere is cut short.
 *  2. Once gl_decoder_start or a run has failed, only gl_decoder_stop may be called.
 */
#ifndef GL_CODING_DECODER_H
#define GL_CODING_DECODER_H

#include <stdbool.h>
#include <stddef.h>

#include "coding/io.h"

typedef struct gl_decoder gl_decoder;

typedef enum gl_decoded {
  GL_DECODED_MORE,      /* all input was taken */
  GL_DECODED_FULL,      /* the room is full: there may be more output, also without more input */
  GL_DECODED_BROKEN,    /* the input is not of this coding; d->why says more */
  GL_DECODED_NO_MEMORY, /* memory was refused */
} gl_decoded;

/* One coding. Only decoder.c calls its functions. */
typedef struct gl_codec {
  const char *name;    /* the name in Content-Encoding, in lower case */
  const char *alias;   /* another name of the coding; NULL = none */
  const char *library; /* the shared library that the coding needs */
  bool (*start)(gl_decoder *d); /* makes d->state; false: out of memory */
  gl_decoded (*run)(gl_decoder *d, gl_coding_io *io);
  void (*stop)(gl_decoder *d); /* frees d->state, which may be NULL */
} gl_codec;

struct gl_decoder {
  const gl_codec *codec;
  void *state;     /* the library's decoder; NULL: none */
  const char *why; /* BROKEN: what is wrong with the input, a static text */
  bool begun;      /* a run had input */
  bool complete;   /* the input that was read is a whole body */
};

extern const gl_codec gl_codec_gzip, gl_codec_deflate, gl_codec_brotli, gl_codec_zstd;

/* Returns the coding of this name, in any case. NULL: the name is unknown. */
const gl_codec *gl_codec_find(const char *name, size_t n);

/* Initializes `d` for a coding, whose library it loads. NULL: done. Else the reason why the library cannot be loaded, a static text, or an
 * empty text: out of memory. Call gl_decoder_stop in every case. */
const char *gl_decoder_start(gl_decoder *d, const gl_codec *codec);

/* Decodes until the input is read or the room is full. */
gl_decoded gl_decoder_run(gl_decoder *d, gl_coding_io *io);

/* May the input end behind the bytes that were read? True before any input: servers label empty bodies, too. */
bool gl_decoder_ended(const gl_decoder *d);

/* Frees the library's decoder. Idempotent. */
void gl_decoder_stop(gl_decoder *d);

#endif
