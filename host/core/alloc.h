/* SPDX-License-Identifier: MIT
 *
 * Small blocks for one thread: free lists by size, carved from larger pieces. A tenth of malloc's work and none of
 * its headers, which is most of what a waiting request weighs. Blocks above GL_SMALL go to malloc. Memory of small
 * blocks stays with the host until it closes, to be used again.
 */
#ifndef GL_CORE_ALLOC_H
#define GL_CORE_ALLOC_H

#include <stddef.h>

#define GL_SMALL 1024
#define GL_GRAIN 16

typedef struct gl_block {
  struct gl_block *next;
} gl_block;

typedef struct gl_alloc {
  gl_block *spare[GL_SMALL / GL_GRAIN + 1]; /* by size in grains */
  gl_block *pieces;                         /* what the blocks were carved from */
  char *at, *end;                           /* the rest of the newest piece */
} gl_alloc;

/* `n` bytes, aligned for anything. NULL: out of memory. */
void *gl_take(gl_alloc *a, size_t n);

/* The same, zeroed. */
void *gl_take_zeroed(gl_alloc *a, size_t n);

/* Give back a block of `n` bytes; NULL is harmless. */
void gl_give(gl_alloc *a, void *block, size_t n);

/* A lua_Alloc; `ud` is a gl_alloc. */
void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want);

/* Give everything back at once. */
void gl_alloc_free(gl_alloc *a);

#endif
