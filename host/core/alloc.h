/* SPDX-License-Identifier: MIT
 *
 * Small blocks for one thread: free lists by size, carved from larger pieces. A tenth of malloc's work and none of
 * its headers, which is most of what a waiting request weighs. Blocks above GL_SMALL go to malloc. Pieces of which
 * nothing is left in use go back to the system when much lies idle and more is asked for (gl_alloc_trim).
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
  _Alignas(GL_GRAIN) struct gl_piece *next, *prev; /* in `vacant` */
  struct gl_piece *region; /* of the first of a region: the region before it */
  size_t idle;             /* bytes of it in the free lists: only while these are counted; or VACANT */
} gl_piece;

/* How far gl_alloc_trim_some has come. */
typedef struct gl_trim {
  enum { GL_TRIM_NONE, GL_TRIM_COUNT, GL_TRIM_SORT, GL_TRIM_VACATE } phase;
  size_t taken, given;                   /* of the allocator: when the last slice ended, and when it began */
  size_t grains;                         /* the free list that is looked at, */
  gl_block *at, **link;                  /* and where: counting, sorting */
  gl_block *cold[GL_SMALL / GL_GRAIN + 1]; /* sorted out: the blocks of idle pieces, */
  gl_block *last[GL_SMALL / GL_GRAIN + 1]; /* and the last of each list, to put it back */
  gl_piece **region;                     /* vacating: the next region */
} gl_trim;

/* Whom a block is for: the script; Lua, to go on with; the host. */
typedef enum gl_purpose { GL_FOR_SCRIPT, GL_FOR_LUA, GL_FOR_HOST } gl_purpose;

typedef struct gl_alloc {
  gl_block *spare[GL_SMALL / GL_GRAIN + 1]; /* by size in grains */
  char *at, *end;                           /* the rest of the piece that is carved now */
  gl_piece *vacant;                         /* pieces given back to the system, but for their first page */
  gl_piece *region;                         /* the newest region of pieces */
  char *fresh_at;                           /* its pieces from here on were not used yet */
  size_t npieces;                           /* in use */
  size_t grown;                             /* bytes got since idle pieces were looked for */
  size_t stuck;                             /* bytes that lay idle beside others in use, then */
  size_t most;                              /* bytes to hold at most, if idle pieces can be found */
  size_t taken, given;                      /* bytes ever; the difference is in use */
  size_t large;                             /* bytes in use above GL_SMALL */
  size_t pooled;                            /* bytes in use that other threads took, less those they gave back: atomic */
  size_t edge;                              /* more than this in use: `admits` is asked */
  bool (*admits)(struct gl_alloc *a, size_t more, gl_purpose purpose);
  gl_trim trim;
} gl_alloc;

/* Nothing is taken yet, and nothing limited. */
void gl_alloc_init(gl_alloc *a);

/* Bytes in use. */
static inline size_t gl_alloc_used(const gl_alloc *a) { return a->taken - a->given + __atomic_load_n(&a->pooled, __ATOMIC_RELAXED); }

/* Bytes held: those in use, and idle small blocks. */
size_t gl_alloc_held(const gl_alloc *a);

/* `n` bytes, aligned for anything. NULL: out of memory. */
void *gl_take(gl_alloc *a, size_t n);

/* The same, zeroed, or NULL when it is not admitted. */
void *gl_take_zeroed(gl_alloc *a, size_t n);

/* Give back a block of `n` bytes; NULL is harmless. */
void gl_give(gl_alloc *a, void *block, size_t n);

/* A lua_Alloc; `ud` is a gl_alloc. NULL when it is not admitted: Lua then collects garbage and asks once more. */
void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want);

/* Count a block that malloc or realloc made larger or smaller as one of ours, and look for idle pieces as gl_take does. */
void gl_alloc_count(gl_alloc *a, size_t old, size_t want);

/* The same from any thread, without the look. */
static inline void gl_alloc_count_elsewhere(gl_alloc *a, size_t old, size_t want) { __atomic_fetch_add(&a->pooled, want - old, __ATOMIC_RELAXED); }

/* Give the idle pieces back to the system. Takes time: it looks at each idle block. */
void gl_alloc_trim(gl_alloc *a);

/* The same a little at a time, for when nothing else is to be done: some hundred microseconds each. True: there is more to do.
 * When blocks were taken meanwhile it begins anew. */
bool gl_alloc_trim_some(gl_alloc *a);

/* Bytes of small blocks that lie idle. */
size_t gl_alloc_idle(const gl_alloc *a);

/* Give everything back at once. */
void gl_alloc_free(gl_alloc *a);

#endif
