/* SPDX-License-Identifier: MIT */
#include "coding/deflate.h"

#include <limits.h>
#include <string.h>

#include "coding/zlib_stream.h"
#include "core/block.h"
#include "core/check.h"

#define LEVEL 3  /* most of the gain at half the time of zlib's default */
#define MEMORY 8 /* zlib's default: 128 KiB beside the window */
#define SPARES 4 /* decompressors that a pool keeps: as many messages arrive in pieces at the same time, rarely more */
#define TAIL_LEN 4

static const unsigned char tail[TAIL_LEN] = {0x00, 0x00, 0xff, 0xff}; /* the end of an empty stored block */

/* ---- compressing ---- */

struct gl_deflater {
  z_stream z;
};

/* zlib has no window of 8 bits without a header. It looks back over 262 bytes less than its window has, 250 of 9 bits, which a window of
 * 8 bits has, too. */
static int window_of(int bits) { return bits == GL_DEFLATE_WINDOW_MIN ? GL_DEFLATE_WINDOW_MIN + 1 : bits; }

gl_deflater *gl_deflater_new(int window) {
  GL_CHECK(window >= GL_DEFLATE_WINDOW_MIN && window <= GL_DEFLATE_WINDOW_MAX);
  gl_deflater *d = gl_memory_resize(NULL, 0, sizeof *d);
  if (!d) return NULL;
  d->z = gl_zlib_stream();
  int memory = window < 13 ? window - 5 : MEMORY; /* hash chains for as many places as the window has */
  if (deflateInit2(&d->z, LEVEL, Z_DEFLATED, -window_of(window), memory, Z_DEFAULT_STRATEGY) == Z_OK) return d;
  gl_memory_resize(d, sizeof *d, 0);
  return NULL;
}

void gl_deflater_free(gl_deflater *d) {
  if (!d) return;
  deflateEnd(&d->z);
  gl_memory_resize(d, sizeof *d, 0);
}

void gl_deflater_forget(gl_deflater *d) { deflateReset(&d->z); }

size_t gl_deflate_message(gl_deflater *d, const void *bytes, size_t n, void *out, size_t room, bool forget) {
  GL_CHECK(n > 0 && n <= UINT_MAX && room <= UINT_MAX);
  z_stream *z = &d->z;
  z->next_in = (Bytef *)bytes;
  z->avail_in = (uInt)n;
  z->next_out = out;
  z->avail_out = (uInt)room;
  int code = deflate(z, Z_SYNC_FLUSH);
  /* Without room left the flush may be incomplete. */
  bool fits = code == Z_OK && z->avail_in == 0 && z->avail_out > 0;
  size_t used = room - z->avail_out;
  if (forget || !fits) deflateReset(z);
  if (!fits) return 0;
  GL_CHECK(used > TAIL_LEN && memcmp((char *)out + used - TAIL_LEN, tail, TAIL_LEN) == 0);
  return used - TAIL_LEN;
}

/* ---- decompressing ---- */

struct gl_inflater {
  z_stream z;
  bool between; /* the input that was read ended between two blocks, with no bit unused */
  bool at_end;  /* a last block has ended: more input begins anew (RFC 7692, 7.2.3.4) */
  size_t ended; /* bytes of the tail that the message has had */
};

gl_inflater *gl_inflater_new(int window) {
  GL_CHECK(window >= GL_DEFLATE_WINDOW_MIN && window <= GL_DEFLATE_WINDOW_MAX);
  gl_inflater *i = gl_memory_resize(NULL, 0, sizeof *i);
  if (!i) return NULL;
  *i = (gl_inflater){.z = gl_zlib_stream()};
  if (inflateInit2(&i->z, -window) == Z_OK) return i;
  gl_memory_resize(i, sizeof *i, 0);
  return NULL;
}

void gl_inflater_free(gl_inflater *i) {
  if (!i) return;
  inflateEnd(&i->z);
  gl_memory_resize(i, sizeof *i, 0);
}

/* Calls inflate once; returns its code. */
static int step(gl_inflater *i, gl_coding_io *io) {
  size_t left = io->in_left;
  int code = gl_zlib_run(inflate, &i->z, io, Z_NO_FLUSH);
  if (io->in_left < left) i->between = (i->z.data_type & 128) && !(i->z.data_type & 63); /* zlib tells with the call that has read the end of a block */
  return code;
}

gl_decoded gl_inflate_some(gl_inflater *i, gl_coding_io *io) {
  for (;;) {
    if (i->at_end && !io->in_left) return GL_DECODED_MORE;
    if (i->at_end) inflateReset(&i->z);
    i->at_end = false;
    if (!io->out_left) return GL_DECODED_FULL;
    switch (step(i, io)) {
      case Z_OK: break;
      case Z_BUF_ERROR: return GL_DECODED_MORE; /* there is room, so that inflate needs input */
      case Z_STREAM_END: i->at_end = true; break;
      case Z_MEM_ERROR: return GL_DECODED_NO_MEMORY;
      default: return GL_DECODED_BROKEN;
    }
  }
}

gl_decoded gl_inflate_end(gl_inflater *i, gl_coding_io *io, bool forget) {
  if (!i->at_end || i->ended) {
    io->in = tail + i->ended;
    io->in_left = TAIL_LEN - i->ended;
    gl_decoded news = gl_inflate_some(i, io);
    i->ended = TAIL_LEN - io->in_left;
    if (news != GL_DECODED_MORE) return news;
    if (!i->between) return GL_DECODED_BROKEN;
  }
  i->ended = 0;
  if (forget || i->at_end) inflateReset(&i->z);
  i->at_end = false;
  return GL_DECODED_MORE;
}

/* ---- the pool ---- */

struct gl_deflate_pool {
  uint32_t refs;
  gl_deflater *deflaters[GL_DEFLATE_WINDOW_MAX + 1]; /* by the bits of their windows; NULL: none was needed yet */
  gl_inflater *spares[SPARES];
  int nspares;
};

gl_deflate_pool *gl_deflate_pool_new(void) {
  gl_deflate_pool *pool = gl_memory_resize(NULL, 0, sizeof *pool);
  if (pool) *pool = (gl_deflate_pool){.refs = 1};
  return pool;
}

gl_deflate_pool *gl_deflate_pool_ref(gl_deflate_pool *pool) {
  pool->refs++;
  return pool;
}

void gl_deflate_pool_unref(gl_deflate_pool *pool) {
  if (--pool->refs > 0) return;
  for (int bits = GL_DEFLATE_WINDOW_MIN; bits <= GL_DEFLATE_WINDOW_MAX; bits++) gl_deflater_free(pool->deflaters[bits]);
  while (pool->nspares) gl_inflater_free(pool->spares[--pool->nspares]);
  gl_memory_resize(pool, sizeof *pool, 0);
}

gl_deflater *gl_deflate_pool_deflater(gl_deflate_pool *pool, int window) {
  GL_CHECK(window >= GL_DEFLATE_WINDOW_MIN && window <= GL_DEFLATE_WINDOW_MAX);
  if (!pool->deflaters[window]) pool->deflaters[window] = gl_deflater_new(window);
  return pool->deflaters[window];
}

gl_inflater *gl_deflate_pool_take(gl_deflate_pool *pool) {
  return pool->nspares ? pool->spares[--pool->nspares] : gl_inflater_new(GL_DEFLATE_WINDOW_MAX);
}

void gl_deflate_pool_give(gl_deflate_pool *pool, gl_inflater *i) {
  if (pool->nspares < SPARES) pool->spares[pool->nspares++] = i;
  else gl_inflater_free(i);
}
