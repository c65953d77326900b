/* SPDX-License-Identifier: MIT
 *
 * Memory that C holds for scripts and peers, counted against --max-memory (core/memory.h says by which rule). This header
 * knows neither Lua nor the loop, so that parsers can use it.
 */
#ifndef GL_CORE_BLOCK_H
#define GL_CORE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* Resizes a block from `old` to `want` bytes as realloc does; `want` 0 frees the block. The bytes are counted for the host
 * this thread works for. Returns NULL (unless `want` is 0) when there is no memory or the limit does not admit it; the block
 * is left as it was then. */
void *gl_memory_resize(void *block, size_t old, size_t want);

/* For libraries that let their allocator be set, and do not say how large a block was when they resize or free it. A block
 * counts for the host that the allocating thread serves, until it is freed by a thread that serves the same host. `refusable`:
 * the library copes with a refusal, so that this may return NULL as gl_memory_resize does; else only when malloc does. */
void *gl_memory_resize_for_library(void *block, size_t want, bool refusable);

/* Bytes that were asked for when such a block was made. */
size_t gl_memory_size_for_library(const void *block);

#endif
