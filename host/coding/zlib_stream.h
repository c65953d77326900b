/* SPDX-License-Identifier: MIT
 *
 * What the files that call zlib have in common: streams whose memory is counted (core/memory.h), and one step of decompressing.
 */
#ifndef GL_CODING_ZLIB_STREAM_H
#define GL_CODING_ZLIB_STREAM_H

#include <zlib.h>

#include "coding/decoder.h"

/* Returns a stream for zlib's init functions. */
z_stream gl_zlib_stream(void);

/* Calls inflate once, and moves `io` on. Returns inflate's code. */
int gl_zlib_inflate(z_stream *z, gl_decoder_io *io);

#endif
