/* SPDX-License-Identifier: MIT
 *
 * The codings gzip, with any number of members (RFC 1952), and deflate, by zlib. By its RFC deflate is the zlib format, but many servers
 * send plain deflate; the first byte tells which of the two a body is.
 */
#include "coding/decoder.h"
#include "coding/memory.h"
#include "coding/zlib_stream.h"

#define WINDOW 15 /* bits: 32 KiB */

static bool start(gl_decoder *d, int window) {
  z_stream *z = gl_coding_alloc(NULL, sizeof *z);
  if (!z) return false;
  *z = gl_zlib_stream();
  if (inflateInit2(z, window) == Z_OK) {
    d->state = z;
    return true;
  }
  gl_coding_free(NULL, z);
  return false;
}

static bool gzip_start(gl_decoder *d) { return start(d, WINDOW + 16); }
static bool deflate_start(gl_decoder *d) { return start(d, WINDOW); }

static void stop(gl_decoder *d) {
  inflateEnd(d->state);
  gl_coding_free(NULL, d->state);
}

static gl_decoded broken(gl_decoder *d, const char *why) {
  d->why = why;
  return GL_DECODED_BROKEN;
}

/* Decodes until the input is read, the room is full, or a stream of zlib has ended (d->complete). */
static gl_decoded inflate_some(gl_decoder *d, gl_coding_io *io) {
  while (!d->complete) {
    if (!io->out_left) return GL_DECODED_FULL;
    switch (gl_zlib_run(inflate, d->state, io, Z_NO_FLUSH)) {
      case Z_OK: break;
      case Z_BUF_ERROR: return GL_DECODED_MORE; /* there is room, so that inflate needs input */
      case Z_STREAM_END: d->complete = true; break;
      case Z_MEM_ERROR: return GL_DECODED_NO_MEMORY;
      default: return broken(d, "damaged");
    }
  }
  return GL_DECODED_MORE;
}

static gl_decoded gzip_run(gl_decoder *d, gl_coding_io *io) {
  for (;;) {
    if (d->complete) { /* a member has ended: another one follows, or the body ends */
      if (!io->in_left) return GL_DECODED_MORE;
      if (*io->in != 0x1f) return broken(d, "followed by other bytes");
      inflateReset(d->state);
      d->complete = false;
    }
    gl_decoded news = inflate_some(d, io);
    if (news != GL_DECODED_MORE || !d->complete) return news;
  }
}

/* Is the body in the zlib format? Its first byte has the method, 8, in the low bits. A block of plain deflate that begins with these bits
 * is a stored one with a bit set in its padding, which no encoder writes. */
static bool is_zlib(unsigned char first) { return (first & 0x0f) == 8; }

static gl_decoded deflate_run(gl_decoder *d, gl_coding_io *io) {
  if (!d->begun && io->in_left && !is_zlib(*io->in) && inflateReset2(d->state, -WINDOW) != Z_OK) return GL_DECODED_NO_MEMORY;
  gl_decoded news = inflate_some(d, io);
  return news == GL_DECODED_MORE && io->in_left ? broken(d, "followed by other bytes") : news;
}

const gl_codec gl_codec_gzip = {"gzip", "x-gzip", "libz.so.1", gzip_start, gzip_run, stop};
const gl_codec gl_codec_deflate = {"deflate", NULL, "libz.so.1", deflate_start, deflate_run, stop};
