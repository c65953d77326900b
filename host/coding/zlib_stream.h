/* SPDX-License-Identifier: MIT
 *
 * What the files that call zlib have in common: streams whose memory is counted (core/memory.h), and one step of theirs.
 */
#ifndef GL_CODING_ZLIB_STREAM_H
#define GL_CODING_ZLIB_STREAM_H

#include <zlib.h>

#include "coding/io.h"

/* Returns a stream for zlib's init functions. */
z_stream gl_zlib_stream(void);

/* Calls inflate or deflate once, and moves `io` on. Returns its code. */
int gl_zlib_run(int (*run)(z_stream *z, int flush), z_stream *z, gl_coding_io *io, int flush);

#endif
