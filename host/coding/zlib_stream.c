/* SPDX-License-Identifier: MIT */
#include "coding/zlib_stream.h"

#include <limits.h>

#include "coding/memory.h"

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size) { return gl_coding_alloc(opaque, (size_t)items * size); }
static void zlib_free(voidpf opaque, voidpf block) { gl_coding_free(opaque, block); }

z_stream gl_zlib_stream(void) { return (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free}; }

static uInt clamp(size_t n) { return n < UINT_MAX ? (uInt)n : UINT_MAX; }

int gl_zlib_run(int (*run)(z_stream *z, int flush), z_stream *z, gl_coding_io *io, int flush) {
  uInt in = clamp(io->in_left), out = clamp(io->out_left);
  z->next_in = (Bytef *)io->in;
  z->avail_in = in;
  z->next_out = io->out;
  z->avail_out = out;
  int code = run(z, flush);
  io->in += in - z->avail_in;
  io->in_left -= in - z->avail_in;
  io->out += out - z->avail_out;
  io->out_left -= out - z->avail_out;
  return code;
}
