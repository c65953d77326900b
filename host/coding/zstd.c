/* SPDX-License-Identifier: MIT
 *
 * The coding zstd (RFC 8878), by libzstd. A body has any number of frames; a window has 8 MiB at most (RFC 9659).
 */
#define ZSTD_STATIC_LINKING_ONLY /* declares ZSTD_createDStream_advanced, which takes an allocator; the shared library has it, too */
#include <zstd.h>
#include <zstd_errors.h>

#include "coding/decoder.h"
#include "coding/memory.h"

#define WINDOW 23 /* bits: 8 MiB */

static bool zstd_start(gl_decoder *d) {
  ZSTD_DStream *z = ZSTD_createDStream_advanced((ZSTD_customMem){gl_coding_alloc, gl_coding_free, NULL});
  if (z) ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW);
  d->state = z;
  return z != NULL;
}

static void zstd_stop(gl_decoder *d) { ZSTD_freeDStream(d->state); }

static gl_decoded failed(gl_decoder *d, ZSTD_ErrorCode code) {
  d->why = code == ZSTD_error_frameParameter_windowTooLarge ? "made for a window of more than 8 MiB"
    : code == ZSTD_error_prefix_unknown && d->complete ? "followed by other bytes" : "damaged";
  return code == ZSTD_error_memory_allocation ? GL_DECODED_NO_MEMORY : GL_DECODED_BROKEN;
}

static gl_decoded zstd_run(gl_decoder *d, gl_coding_io *io) {
  ZSTD_inBuffer in = {io->in, io->in_left, 0};
  ZSTD_outBuffer out = {io->out, io->out_left, 0};
  if (d->complete && !in.size) return GL_DECODED_MORE; /* a run without input would begin another frame */
  do {
    size_t left = ZSTD_decompressStream(d->state, &out, &in);
    if (ZSTD_isError(left)) return failed(d, ZSTD_getErrorCode(left));
    d->complete = left == 0;
  } while (in.pos < in.size && out.pos < out.size);
  io->in += in.pos;
  io->in_left -= in.pos;
  io->out += out.pos;
  io->out_left -= out.pos;
  return io->out_left || (d->complete && !io->in_left) ? GL_DECODED_MORE : GL_DECODED_FULL;
}

const gl_codec gl_codec_zstd = {"zstd", NULL, "libzstd.so.1", zstd_start, zstd_run, zstd_stop};
