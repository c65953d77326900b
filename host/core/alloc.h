/* SPDX-License-Identifier: MIT
 *
 * An allocator of small blocks for one thread: free lists by size, whose blocks are carved from larger pieces. It does a tenth
 * of malloc's work and needs no block headers, which would be most of what a waiting request weighs. Blocks above GL_SMALL
 * come from malloc. Pieces that are wholly free go back to the system when much lies idle and more is asked for:
 *
 *     NONE --begin_trim--> COUNT --> SORT --> VACATE --> NONE         one slice of each by gl_alloc_trim_some
 *                            ^         |        |
 *                            '-- a block was allocated meanwhile (COUNT, SORT), or freed (VACATE)
 *
 *     COUNT   adds up, in each piece, the bytes of its free blocks
 *     SORT    moves the free blocks of wholly free pieces from the free lists to `cold`
 *     VACATE  forgets these blocks and gives their pieces back, region by region
 */
#ifndef GL_CORE_ALLOC_H
#define GL_CORE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#define GL_SMALL 1024
#define GL_GRAIN 16

typedef struct gl_block {
  struct gl_block *next;
} gl_block;

typedef struct gl_piece {
  _Alignas(GL_GRAIN) struct gl_piece *next, *prev; /* in gl_alloc.vacant */
  struct gl_piece *region; /* in the first piece of a region: the region mapped before */
  size_t idle;             /* bytes of its free blocks, while a trim counts them, else 0; VACANT = the piece is given back */
} gl_piece;

/* Where a trim that is under way stands. */
typedef struct gl_trim {
  enum { GL_TRIM_NONE, GL_TRIM_COUNT, GL_TRIM_SORT, GL_TRIM_VACATE } phase;
  size_t allocated;                      /* gl_alloc.allocated when the last slice ended */
  size_t freed;                          /* gl_alloc.freed when the trim began */
  size_t grains;                         /* COUNT, SORT: the size of the free list under way, in grains */
  gl_block *at;                          /* COUNT: the next block of that list */
  gl_block **link;                       /* SORT: the link to the next block of that list */
  gl_block *cold[GL_SMALL / GL_GRAIN + 1]; /* SORT: blocks of wholly free pieces, by size in grains, */
  gl_block *last[GL_SMALL / GL_GRAIN + 1]; /* and the last of each list, to put the list back */
  gl_piece **region;                     /* VACATE: the link to the next region */
} gl_trim;

typedef enum gl_purpose {
  GL_FOR_SCRIPT, /* objects that a script makes */
  GL_FOR_LUA,    /* what Lua cannot go on without: call frames, stacks */
  GL_FOR_HOST,   /* tasks and ops */
} gl_purpose;

typedef struct gl_alloc {
  gl_block *spare[GL_SMALL / GL_GRAIN + 1]; /* free lists, by size in grains */
  char *at, *end;                           /* what is left of the piece that is carved now */
  gl_piece *vacant;                         /* pieces given back to the system, but for their first page */
  gl_piece *region;                         /* the newest region of pieces */
  char *fresh_at;                           /* pieces of the newest region from here on were never used */
  size_t npieces;                           /* pieces in use */
  size_t grown;                             /* bytes got from the system since the last trim */
  size_t stuck;                             /* bytes that still lay idle after the last trim: their pieces were in use */
  size_t most;                              /* bytes to hold at most, if a trim can achieve that */
  size_t allocated, freed;                    /* bytes ever allocated and freed; the difference is in use */
  size_t large;                             /* bytes in use above GL_SMALL */
  size_t pooled;                            /* bytes in use that other threads allocated, less those they freed; atomic */
  size_t edge;                              /* when more bytes than these would be in use, `admits` decides */
  bool (*admits)(struct gl_alloc *a, size_t more, gl_purpose purpose);
  gl_trim trim;
} gl_alloc;

/* Makes an empty allocator without a limit. */
void gl_alloc_init(gl_alloc *a);

/* Bytes in use. */
static inline size_t gl_alloc_used(const gl_alloc *a) { return a->allocated - a->freed + __atomic_load_n(&a->pooled, __ATOMIC_RELAXED); }

/* Bytes held: those in use, and the free small blocks. */
size_t gl_alloc_held(const gl_alloc *a);

/* Allocates `n` bytes, aligned for anything; `admits` is not asked. NULL: out of memory. */
void *gl_block_alloc(gl_alloc *a, size_t n);

/* Allocates `n` zeroed bytes for the host. NULL: out of memory, or not admitted. */
void *gl_block_calloc(gl_alloc *a, size_t n);

/* Frees a block of `n` bytes; NULL is harmless. */
void gl_block_free(gl_alloc *a, void *block, size_t n);

/* A lua_Alloc; `ud` is a gl_alloc. Returns NULL also when a block is not admitted: Lua then collects garbage and asks once more. */
void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want);

/* Counts that malloc or realloc made a block of `old` bytes one of `want` bytes, and trims when that is due. */
void gl_alloc_count(gl_alloc *a, size_t old, size_t want);

/* The same from any thread, without a trim. */
static inline void gl_alloc_count_elsewhere(gl_alloc *a, size_t old, size_t want) { __atomic_fetch_add(&a->pooled, want - old, __ATOMIC_RELAXED); }

/* Gives the wholly free pieces back to the system. Takes time: it visits every free block. */
void gl_alloc_trim(gl_alloc *a);

/* The same in slices of some hundred microseconds, for an idle host. True: there is more to do. The trim begins anew when blocks
 * were allocated since the last slice. */
bool gl_alloc_trim_some(gl_alloc *a);

/* Bytes of the free small blocks. */
size_t gl_alloc_idle(const gl_alloc *a);

/* Gives everything back at once. */
void gl_alloc_free(gl_alloc *a);

#endif
