/* SPDX-License-Identifier: MIT
 *
 * Content codings of HTTP (RFC 9110, 8.4.1), undone piece by piece: gzip, deflate, br, zstd. A run takes bounded input and gives
 * bounded output, so that the caller decides how long a bomb may hold it. No Lua, no loop. What a decoder holds is counted
 * (core/memory.h). The library of a coding is loaded with its first decoder.
 *
 *     new -> run ... run (MORE: feed it, FULL: empty the room) -> ended? -> free
 *                  \-> BROKEN, NO_MEMORY: only free may follow
 */
#ifndef GL_CODING_DECODER_H
#define GL_CODING_DECODER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gl_decoder gl_decoder;

/* Where a run reads and writes. A run moves the pointers past what it took and gave, and counts the rest down. */
typedef struct gl_decoder_io {
  const unsigned char *in;
  size_t in_left;
  unsigned char *out;
  size_t out_left;
} gl_decoder_io;

typedef enum gl_decoded {
  GL_DECODED_MORE,      /* all input was taken */
  GL_DECODED_FULL,      /* the room is full: run again, if only without input */
  GL_DECODED_BROKEN,    /* these are no bytes of this coding; d->why says more */
  GL_DECODED_NO_MEMORY, /* it was refused */
} gl_decoded;

/* One coding. Its functions are called by decoder.c alone. */
typedef struct gl_codec {
  const char *name;    /* in Content-Encoding, lower case */
  const char *alias;   /* another name of the same, or NULL */
  const char *library; /* that it needs */
  bool (*start)(gl_decoder *d); /* makes d->state; false: out of memory */
  gl_decoded (*run)(gl_decoder *d, gl_decoder_io *io);
  void (*stop)(gl_decoder *d); /* frees d->state, which may be NULL */
} gl_codec;

struct gl_decoder {
  const gl_codec *codec;
  void *state;     /* the library's */
  const char *why; /* static text: what is wrong, when BROKEN */
  bool begun;      /* input was seen */
  bool complete;   /* the input may end here */
};

extern const gl_codec gl_codec_gzip, gl_codec_deflate, gl_codec_brotli, gl_codec_zstd;

/* The coding of this name in any case; NULL: unknown. */
const gl_codec *gl_codec_find(const char *name, size_t n);

/* Sets `d` up. NULL: done. Else why the library cannot be loaded; an empty text: out of memory. Free `d` in either case. */
const char *gl_decoder_start(gl_decoder *d, const gl_codec *codec);

gl_decoded gl_decoder_run(gl_decoder *d, gl_decoder_io *io);

/* May the input end after what was run? No input at all is an empty body: servers label those, too. */
bool gl_decoder_ended(const gl_decoder *d);

void gl_decoder_stop(gl_decoder *d);

/* The allocator for libraries, counted. `opaque` is ignored. */
void *gl_decoder_alloc(void *opaque, size_t size);
void gl_decoder_free(void *opaque, void *block);

#endif
