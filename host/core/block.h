/* SPDX-License-Identifier: MIT
 *
 * Memory that C holds for scripts and peers, counted against --max-memory (core/memory.h says by which rule). This header
 * knows neither Lua nor the loop, so that parsers can use it.
 */
#ifndef GL_CORE_BLOCK_H
#define GL_CORE_BLOCK_H

#include <stddef.h>

/* Resizes a block from `old` to `want` bytes as realloc does; `want` 0 frees the block. The bytes are counted for the host
 * this thread works for. Returns NULL (unless `want` is 0) when there is no memory or the limit does not admit it; the block
 * is left as it was then. */
void *gl_memory_resize(void *block, size_t old, size_t want);

#endif
