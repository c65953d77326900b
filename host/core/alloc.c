/* SPDX-License-Identifier: MIT */
#include "core/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024) /* a piece is aligned to its size, so that it is found by the address of a block */
#define REGION (16 * PIECE)       /* what is mapped at once */
#define VITAL 4096                /* bytes of the largest block that Lua cannot go on without: a call frame, most stacks */
#define FEW ((size_t)16 << 20)    /* so few free bytes are not worth a trim */
#define SIZES (GL_SMALL / GL_GRAIN)
#define SLICE_BLOCKS 20000        /* free blocks visited in one slice of a trim */
#define VACANT SIZE_MAX           /* gl_piece.idle of a piece that was given back */

/* Under AddressSanitizer each block comes from malloc, so that every one is watched. */
#if defined(__SANITIZE_ADDRESS__)
#define SMALL(n) ((void)(n), 0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SMALL(n) ((void)(n), 0)
#endif
#endif
#ifndef SMALL
#define SMALL(n) ((n) <= GL_SMALL)
#endif

void gl_alloc_init(gl_alloc *a) { *a = (gl_alloc){.edge = SIZE_MAX, .most = SIZE_MAX}; }

static size_t grains_of(size_t n) { return (n + GL_GRAIN - 1) / GL_GRAIN; }

/* ---- pieces ---- */

static gl_piece *piece_of(const gl_block *b) { return (gl_piece *)((uintptr_t)b & ~(uintptr_t)(PIECE - 1)); }

size_t gl_alloc_idle(const gl_alloc *a) { return a->npieces * PIECE - (a->allocated - a->freed - a->large); }

size_t gl_alloc_held(const gl_alloc *a) { return a->npieces * PIECE + a->large + __atomic_load_n(&a->pooled, __ATOMIC_RELAXED); }

static bool is_idle(const gl_piece *p) { return p->idle == PIECE - sizeof *p; }

static char *end_of(const gl_alloc *a, gl_piece *region) { return region == a->region ? a->fresh_at : (char *)region + REGION; }

static void add_vacant(gl_alloc *a, gl_piece *p) {
  size_t page = (size_t)getpagesize();
  if (page < PIECE) madvise((char *)p + page, PIECE - page, MADV_DONTNEED);
  p->idle = VACANT;
  p->prev = NULL;
  p->next = a->vacant;
  if (p->next) p->next->prev = p;
  a->vacant = p;
}

static void remove_vacant(gl_alloc *a, gl_piece *p) {
  if (p->prev) p->prev->next = p->next;
  else a->vacant = p->next;
  if (p->next) p->next->prev = p->prev;
}

static bool is_unused(const gl_piece *p) { return p->idle == VACANT || is_idle(p); }

/* Unmaps the region at `at` if nothing of it is in use. The newest stays: not all of it was carved. */
static bool drop_region(gl_alloc *a, gl_piece **at) {
  gl_piece *region = *at;
  if (region == a->region) return false;
  for (char *p = (char *)region; p < (char *)region + REGION; p += PIECE)
    if (!is_unused((gl_piece *)(void *)p)) return false;
  for (char *p = (char *)region; p < (char *)region + REGION; p += PIECE) {
    if (is_idle((gl_piece *)(void *)p)) a->npieces--;
    else remove_vacant(a, (gl_piece *)(void *)p);
  }
  *at = region->region;
  munmap(region, REGION);
  return true;
}

/* Gives back the wholly free pieces of the region at `at`, whose blocks are in no list any more. Returns the link to the next region. */
static gl_piece **vacate(gl_alloc *a, gl_piece **at) {
  gl_piece *region = *at;
  if (drop_region(a, at)) return at;
  for (char *p = (char *)region; p < end_of(a, region); p += PIECE) {
    gl_piece *piece = (gl_piece *)(void *)p;
    if (is_idle(piece)) {
      add_vacant(a, piece);
      a->npieces--;
    } else if (piece->idle != VACANT) {
      piece->idle = 0;
    }
  }
  return &region->region;
}

/* ---- trimming, in slices ---- */

static void forget_counts(gl_alloc *a) {
  for (gl_piece *region = a->region; region; region = region->region)
    for (char *p = (char *)region; p < end_of(a, region); p += PIECE)
      if (((gl_piece *)(void *)p)->idle != VACANT) ((gl_piece *)(void *)p)->idle = 0;
}

/* Puts the sorted blocks back into the free lists. */
static void unsort(gl_alloc *a) {
  for (size_t grains = 1; grains <= SIZES; grains++) {
    if (!a->trim.cold[grains]) continue;
    a->trim.last[grains]->next = a->spare[grains];
    a->spare[grains] = a->trim.cold[grains];
    a->trim.cold[grains] = NULL;
  }
}

/* Begins with COUNT. Counts and sorted blocks are right only as long as nothing is allocated. */
static void begin_trim(gl_alloc *a) {
  unsort(a);
  forget_counts(a);
  a->trim.freed = a->freed;
  a->trim.phase = GL_TRIM_COUNT;
  a->trim.grains = 1;
  a->trim.at = a->spare[1];
}

static void begin_sort(gl_alloc *a) {
  a->trim.phase = GL_TRIM_SORT;
  a->trim.grains = 1;
  a->trim.link = &a->spare[1];
}

/* Goes on with the next free list. False: there is none. */
static bool next_list(gl_alloc *a) {
  size_t grains = ++a->trim.grains;
  if (grains > SIZES) return false;
  a->trim.at = a->spare[grains];
  a->trim.link = &a->spare[grains];
  return true;
}

static void count_slice(gl_alloc *a) {
  gl_trim *t = &a->trim;
  for (int n = 0; n < SLICE_BLOCKS; n++) {
    if (!t->at) {
      if (next_list(a)) continue;
      begin_sort(a);
      return;
    }
    piece_of(t->at)->idle += t->grains * GL_GRAIN;
    t->at = t->at->next;
  }
}

static void sort_slice(gl_alloc *a) {
  gl_trim *t = &a->trim;
  for (int n = 0; n < SLICE_BLOCKS; n++) {
    gl_block *b = *t->link;
    if (!b) {
      if (next_list(a)) continue;
      memset(t->cold, 0, sizeof t->cold); /* their pieces are given back */
      t->phase = GL_TRIM_VACATE;
      t->region = &a->region;
      return;
    }
    if (!is_idle(piece_of(b))) {
      t->link = &b->next;
      continue;
    }
    *t->link = b->next;
    if (!t->cold[t->grains]) t->last[t->grains] = b;
    b->next = t->cold[t->grains];
    t->cold[t->grains] = b;
  }
}

bool gl_alloc_trim_some(gl_alloc *a) {
  gl_trim *t = &a->trim;
  if (t->phase == GL_TRIM_NONE || (t->phase != GL_TRIM_VACATE && t->allocated != a->allocated)) begin_trim(a);
  if (t->phase == GL_TRIM_COUNT) count_slice(a);
  else if (t->phase == GL_TRIM_SORT) sort_slice(a);
  else if (*t->region) t->region = vacate(a, t->region);
  else if (t->freed != a->freed) begin_trim(a); /* more pieces may be free by now */
  else t->phase = GL_TRIM_NONE;
  t->allocated = a->allocated;
  if (t->phase == GL_TRIM_NONE) a->stuck = gl_alloc_idle(a);
  return t->phase != GL_TRIM_NONE;
}

void gl_alloc_trim(gl_alloc *a) {
  while (a->trim.phase == GL_TRIM_VACATE && gl_alloc_trim_some(a)) continue;
  if (a->trim.phase != GL_TRIM_NONE) begin_trim(a);
  while (gl_alloc_trim_some(a)) continue;
}

/* Trims before `n` more bytes are got from the system, when as much was got since the last trim as lies idle: then the visit to
 * each free block costs no more than carving it did. Trims sooner when more would be held than a->most. */
static void trim_if_due(gl_alloc *a, size_t n) {
  size_t idle = gl_alloc_idle(a);
  a->grown += n;
  if (idle < FEW && idle < a->most / 8) return;
  bool much = gl_alloc_held(a) + n > a->most && a->grown > a->most / 16 + a->stuck;
  if (a->grown < idle && !much) return;
  gl_alloc_trim(a);
  a->grown = 0;
}

/* Maps one piece more than a region has, and unmaps what is over on both sides of the aligned part. */
static bool new_region(gl_alloc *a) {
  char *map = mmap(NULL, REGION + PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return false;
  size_t before = (PIECE - ((uintptr_t)map & (PIECE - 1))) & (PIECE - 1);
  if (before) munmap(map, before);
  if (PIECE - before) munmap(map + before + REGION, PIECE - before);
  gl_piece *first = (gl_piece *)(void *)(map + before);
  first->region = a->region;
  a->region = first;
  a->fresh_at = (char *)first;
  return true;
}

static gl_piece *vacant_piece(gl_alloc *a) {
  gl_piece *p = a->vacant;
  if (p) {
    remove_vacant(a, p);
    return p;
  }
  if ((!a->region || a->fresh_at == (char *)a->region + REGION) && !new_region(a)) return NULL;
  p = (gl_piece *)(void *)a->fresh_at;
  a->fresh_at += PIECE;
  return p;
}

static bool new_piece(gl_alloc *a) {
  size_t rest = (size_t)(a->end - a->at) / GL_GRAIN;
  if (rest) { /* too small for the block that is needed: it becomes a block of its own */
    gl_block *b = (gl_block *)(void *)a->at;
    b->next = a->spare[rest];
    a->spare[rest] = b;
    a->at = a->end;
  }
  trim_if_due(a, PIECE);
  gl_piece *piece = vacant_piece(a);
  if (!piece) return false;
  piece->idle = 0;
  a->npieces++;
  a->at = (char *)(piece + 1);
  a->end = (char *)piece + PIECE;
  return true;
}

static void *carve(gl_alloc *a, size_t n) {
  if ((size_t)(a->end - a->at) < n && !new_piece(a)) return NULL;
  void *block = a->at;
  a->at += n;
  return block;
}

/* ---- blocks ---- */

static void *alloc_large(gl_alloc *a, size_t n) {
  trim_if_due(a, n);
  void *block = malloc(n);
  if (!block) return NULL;
  a->large += n;
  a->allocated += n;
  return block;
}

void *gl_block_alloc(gl_alloc *a, size_t n) {
  if (!SMALL(n)) return alloc_large(a, n);
  size_t grains = grains_of(n);
  gl_block *b = a->spare[grains];
  if (b) a->spare[grains] = b->next;
  else if (!(b = carve(a, grains * GL_GRAIN))) return NULL;
  a->allocated += grains * GL_GRAIN;
  return b;
}

static bool is_admitted(gl_alloc *a, size_t more, gl_purpose purpose) {
  return gl_alloc_used(a) + more <= a->edge || a->admits(a, more, purpose);
}

void *gl_block_calloc(gl_alloc *a, size_t n) {
  void *block = is_admitted(a, n, GL_FOR_HOST) ? gl_block_alloc(a, n) : NULL;
  return block ? memset(block, 0, n) : NULL;
}

void gl_block_free(gl_alloc *a, void *block, size_t n) {
  if (!block) return;
  if (!SMALL(n)) {
    a->large -= n;
    a->freed += n;
    free(block);
    return;
  }
  gl_block *b = block;
  size_t grains = grains_of(n);
  b->next = a->spare[grains];
  a->spare[grains] = b;
  a->freed += grains * GL_GRAIN;
}

void gl_alloc_count(gl_alloc *a, size_t old, size_t want) {
  if (want > old + GL_SMALL) trim_if_due(a, want - old);
  a->large += want - old;
  a->allocated += want;
  a->freed += old;
}

static void *resize_large(gl_alloc *a, void *block, size_t old, size_t want) {
  void *moved = realloc(block, want);
  if (moved) gl_alloc_count(a, old, want);
  return moved;
}

/* For a new block Lua passes the kind of object in place of the old size; 0 = none, as for call frames and stacks. A finalizer
 * that gets no frame is lost, and with it what the finalizer would have given back. */
static gl_purpose purpose_of(size_t kind, size_t n) { return kind == 0 && n <= VITAL ? GL_FOR_LUA : GL_FOR_SCRIPT; }

void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want) {
  gl_alloc *a = ud;
  if (want == 0) {
    gl_block_free(a, block, old);
    return NULL;
  }
  if (!block) return is_admitted(a, want, purpose_of(old, want)) ? gl_block_alloc(a, want) : NULL;
  if (want > old && !is_admitted(a, want - old, GL_FOR_SCRIPT)) return NULL;
  if (!SMALL(old) && !SMALL(want)) return resize_large(a, block, old, want);
  if (SMALL(old) && SMALL(want) && grains_of(old) == grains_of(want)) return block;
  void *moved = gl_block_alloc(a, want);
  if (!moved) return NULL;
  memcpy(moved, block, old < want ? old : want);
  gl_block_free(a, block, old);
  return moved;
}

void gl_alloc_free(gl_alloc *a) {
  while (a->region) {
    gl_piece *region = a->region;
    a->region = region->region;
    munmap(region, REGION);
  }
  gl_alloc_init(a);
}
