/* SPDX-License-Identifier: MIT
 *
 * Reference-counted bytes that nobody changes any more: a message on its way to many peers. They count as what Lua allocates.
 */
#ifndef GL_CORE_BYTES_H
#define GL_CORE_BYTES_H

#include "core/memory.h"

typedef struct gl_bytes {
  gl_host *host;
  uint32_t refs;
  size_t n;
  char at[];
} gl_bytes;

/* Makes room for n bytes, which the caller fills; one reference is the caller's. NULL: out of memory. */
static inline gl_bytes *gl_bytes_new(gl_host *h, size_t n) {
  gl_bytes *b = gl_memory_admits(h, n) ? gl_block_alloc(&h->alloc, sizeof *b + n) : NULL;
  if (!b) return NULL;
  b->host = h;
  b->refs = 1;
  b->n = n;
  return b;
}

static inline gl_bytes *gl_bytes_ref(gl_bytes *b) {
  b->refs++;
  return b;
}

static inline void gl_bytes_unref(gl_bytes *b) {
  if (--b->refs == 0) gl_block_free(&b->host->alloc, b, sizeof *b + b->n);
}

#endif
