/* SPDX-License-Identifier: MIT
 *
 * The coding gzip (RFC 1952), made by zlib.
 */
#include "coding/encoder.h"
#include "coding/memory.h"
#include "coding/zlib_stream.h"

#define LEVEL 4   /* of nine: a text is 4 % larger than by zlib's default, 6, in half the time */
#define WINDOW 15 /* bits: 32 KiB */
#define MEMORY 8  /* zlib's default: 128 KiB beside twice the window */

static bool gzip_start(gl_encoder *e) {
  z_stream *z = gl_coding_alloc(NULL, sizeof *z);
  if (!z) return false;
  *z = gl_zlib_stream();
  if (deflateInit2(z, LEVEL, Z_DEFLATED, WINDOW + 16, MEMORY, Z_DEFAULT_STRATEGY) == Z_OK) {
    e->state = z;
    return true;
  }
  gl_coding_free(NULL, z);
  return false;
}

static void gzip_stop(gl_encoder *e) {
  deflateEnd(e->state);
  gl_coding_free(NULL, e->state);
}

/* zlib takes memory at the start alone. */
static gl_encoded gzip_run(gl_encoder *e, gl_coding_io *io, gl_encode_then then) {
  static const int flush[] = {[GL_ENCODE_GO_ON] = Z_NO_FLUSH, [GL_ENCODE_FLUSH] = Z_SYNC_FLUSH, [GL_ENCODE_END] = Z_FINISH};
  z_stream *z = e->state;
  int code = gl_zlib_run(deflate, z, io, flush[then]);
  if (then == GL_ENCODE_END) return code == Z_STREAM_END ? GL_ENCODED_MORE : GL_ENCODED_FULL;
  return io->out_left && !io->in_left ? GL_ENCODED_MORE : GL_ENCODED_FULL; /* without room left a flush may be incomplete */
}

const gl_coding gl_coding_gzip = {"gzip", "libz.so.1", gzip_start, gzip_run, gzip_stop};
