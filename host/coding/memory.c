/* SPDX-License-Identifier: MIT */
#include "coding/memory.h"

#include <stdint.h>

#include "core/memory.h"

/* The size of a block stands before it, because libraries do not give the size when they free. */
typedef union block {
  size_t size; /* bytes, with those of this header */
  max_align_t align;
} block;

void *gl_coding_alloc(void *opaque, size_t size) {
  (void)opaque;
  if (size > SIZE_MAX - sizeof(block)) return NULL;
  block *b = gl_memory_resize(NULL, 0, sizeof *b + size);
  if (!b) return NULL;
  b->size = sizeof *b + size;
  return b + 1;
}

void gl_coding_free(void *opaque, void *address) {
  (void)opaque;
  if (!address) return;
  block *b = (block *)address - 1;
  gl_memory_resize(b, b->size, 0);
}
