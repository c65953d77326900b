/* SPDX-License-Identifier: MIT
 *
 * The coding br (RFC 7932), by libbrotli. A body is one stream; its window has 16 MiB at most.
 */
#include <brotli/decode.h>

#include "coding/decoder.h"
#include "coding/memory.h"

static bool brotli_start(gl_decoder *d) {
  d->state = BrotliDecoderCreateInstance(gl_coding_alloc, gl_coding_free, NULL);
  return d->state != NULL;
}

static void brotli_stop(gl_decoder *d) { BrotliDecoderDestroyInstance(d->state); }

static bool lacked_memory(const gl_decoder *d) {
  BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(d->state);
  return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static gl_decoded brotli_run(gl_decoder *d, gl_coding_io *io) {
  if (!d->complete) {
    switch (BrotliDecoderDecompressStream(d->state, &io->in_left, &io->in, &io->out_left, &io->out, NULL)) {
      case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return GL_DECODED_MORE;
      case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return GL_DECODED_FULL;
      case BROTLI_DECODER_RESULT_SUCCESS: d->complete = true; break;
      default:
        d->why = "damaged";
        return lacked_memory(d) ? GL_DECODED_NO_MEMORY : GL_DECODED_BROKEN;
    }
  }
  if (!io->in_left) return GL_DECODED_MORE;
  d->why = "followed by other bytes";
  return GL_DECODED_BROKEN;
}

const gl_codec gl_codec_brotli = {"br", NULL, "libbrotlidec.so.1", brotli_start, brotli_run, brotli_stop};
