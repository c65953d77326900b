/* SPDX-License-Identifier: MIT
 *
 * The coding zstd (RFC 8878), made by libzstd.
 */
#define ZSTD_STATIC_LINKING_ONLY /* declares ZSTD_createCCtx_advanced, which takes an allocator; the shared library has it, too */
#include <zstd.h>
#include <zstd_errors.h>

#include "coding/encoder.h"
#include "coding/memory.h"

#define LEVEL 3   /* the library's default */
#define WINDOW 17 /* bits: 128 KiB, four times what gzip has. The level's own 2 MiB would take as much memory for each answer on its way */

static bool zstd_start(gl_encoder *e) {
  ZSTD_CCtx *z = ZSTD_createCCtx_advanced((ZSTD_customMem){gl_coding_alloc, gl_coding_free, NULL});
  e->state = z;
  if (!z) return false;
  ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
  ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, WINDOW);
  ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
  return true;
}

static void zstd_stop(gl_encoder *e) { ZSTD_freeCCtx(e->state); }

static gl_encoded zstd_run(gl_encoder *e, gl_coding_io *io, gl_encode_then then) {
  static const ZSTD_EndDirective of[] = {[GL_ENCODE_GO_ON] = ZSTD_e_continue, [GL_ENCODE_FLUSH] = ZSTD_e_flush, [GL_ENCODE_END] = ZSTD_e_end};
  ZSTD_inBuffer in = {io->in, io->in_left, 0};
  ZSTD_outBuffer out = {io->out, io->out_left, 0};
  size_t left;
  do {
    left = ZSTD_compressStream2(e->state, &out, &in, of[then]);
    if (ZSTD_isError(left)) return GL_ENCODED_NO_MEMORY; /* nothing else can be wrong: the parameters are ours */
  } while (out.pos < out.size && (in.pos < in.size || (left && then != GL_ENCODE_GO_ON)));
  io->in += in.pos;
  io->in_left -= in.pos;
  io->out += out.pos;
  io->out_left -= out.pos;
  return io->in_left || (left && then != GL_ENCODE_GO_ON) ? GL_ENCODED_FULL : GL_ENCODED_MORE;
}

const gl_coding gl_coding_zstd = {"zstd", "libzstd.so.1", zstd_start, zstd_run, zstd_stop};
