/* SPDX-License-Identifier: MIT */
#include "core/alloc.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN ((size_t)64 * 1024) /* a block's piece is found by its address */
#define PIECE (ALIGN - 64)        /* malloc's own header fits between two of them */
#define FEW ((size_t)16 << 20)    /* idle bytes that are not worth a look */

/* Under AddressSanitizer each block comes from malloc, so that it watches over every one. */
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

static gl_piece *piece_of(const gl_block *b) { return (gl_piece *)((uintptr_t)b & ~(uintptr_t)(ALIGN - 1)); }

static size_t small_idle(const gl_alloc *a) { return a->npieces * PIECE - (gl_alloc_used(a) - a->large); }

size_t gl_alloc_held(const gl_alloc *a) { return a->npieces * PIECE + a->large; }

static void count_idle(gl_alloc *a) {
  for (size_t grains = 1; grains <= GL_SMALL / GL_GRAIN; grains++)
    for (gl_block *b = a->spare[grains]; b; b = b->next) piece_of(b)->idle += grains * GL_GRAIN;
}

static bool is_idle(const gl_piece *p) { return p->idle == PIECE - sizeof *p; }

static void unlink_idle(gl_alloc *a) {
  for (size_t grains = 1; grains <= GL_SMALL / GL_GRAIN; grains++)
    for (gl_block **at = &a->spare[grains]; *at;) {
      if (is_idle(piece_of(*at))) *at = (*at)->next;
      else at = &(*at)->next;
    }
}

void gl_alloc_trim(gl_alloc *a) {
  size_t before = a->npieces;
  count_idle(a);
  unlink_idle(a);
  for (gl_piece **at = &a->pieces, *p; (p = *at) != NULL;) {
    if (is_idle(p)) {
      *at = p->next;
      a->npieces--;
      free(p);
    } else {
      p->idle = 0;
      at = &p->next;
    }
  }
  if (a->npieces < before) malloc_trim(0);
}

/* Malloc is about to be asked. Not before it gave as much as lies idle, or so often that the looking costs more than
 * the rest: but then they are looked through, and sooner where more would be held than may be. */
static void trim_if_due(gl_alloc *a, size_t n) {
  size_t idle = small_idle(a);
  a->fresh += n;
  if (idle < FEW && idle < a->most / 8) return;
  bool much = gl_alloc_held(a) + n > a->most && a->fresh > a->most / 16;
  if (a->fresh < idle && !much) return;
  a->fresh = 0;
  gl_alloc_trim(a);
}

static bool new_piece(gl_alloc *a) {
  size_t rest = (size_t)(a->end - a->at) / GL_GRAIN;
  if (rest) { /* too small for what is asked */
    gl_block *b = (gl_block *)(void *)a->at;
    b->next = a->spare[rest];
    a->spare[rest] = b;
    a->at = a->end;
  }
  trim_if_due(a, PIECE);
  gl_piece *piece = aligned_alloc(ALIGN, PIECE);
  if (!piece) return false;
  *piece = (gl_piece){.next = a->pieces};
  a->pieces = piece;
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

static void *take_large(gl_alloc *a, size_t n) {
  trim_if_due(a, n);
  void *block = malloc(n);
  if (!block) return NULL;
  a->large += n;
  a->taken += n;
  return block;
}

void *gl_take(gl_alloc *a, size_t n) {
  if (!SMALL(n)) return take_large(a, n);
  size_t grains = grains_of(n);
  gl_block *b = a->spare[grains];
  if (b) a->spare[grains] = b->next;
  else if (!(b = carve(a, grains * GL_GRAIN))) return NULL;
  a->taken += grains * GL_GRAIN;
  return b;
}

static bool is_admitted(gl_alloc *a, size_t more, bool lua) {
  return gl_alloc_used(a) + more <= a->edge || a->admits(a, more, lua);
}

void *gl_take_zeroed(gl_alloc *a, size_t n) {
  void *block = is_admitted(a, n, false) ? gl_take(a, n) : NULL;
  return block ? memset(block, 0, n) : NULL;
}

void gl_give(gl_alloc *a, void *block, size_t n) {
  if (!block) return;
  if (!SMALL(n)) {
    a->large -= n;
    a->given += n;
    free(block);
    return;
  }
  gl_block *b = block;
  size_t grains = grains_of(n);
  b->next = a->spare[grains];
  a->spare[grains] = b;
  a->given += grains * GL_GRAIN;
}

static void *resize_large(gl_alloc *a, void *block, size_t old, size_t want) {
  if (want > old) trim_if_due(a, want - old);
  void *moved = realloc(block, want);
  if (!moved) return NULL;
  a->large += want - old;
  a->taken += want;
  a->given += old;
  return moved;
}

void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want) {
  gl_alloc *a = ud;
  if (want == 0) {
    gl_give(a, block, old);
    return NULL;
  }
  if (!block) return is_admitted(a, want, true) ? gl_take(a, want) : NULL; /* `old` is then a type, not a size */
  if (want > old && !is_admitted(a, want - old, true)) return NULL;
  if (!SMALL(old) && !SMALL(want)) return resize_large(a, block, old, want);
  if (SMALL(old) && SMALL(want) && grains_of(old) == grains_of(want)) return block;
  void *moved = gl_take(a, want);
  if (!moved) return NULL;
  memcpy(moved, block, old < want ? old : want);
  gl_give(a, block, old);
  return moved;
}

void gl_alloc_free(gl_alloc *a) {
  while (a->pieces) {
    gl_piece *piece = a->pieces;
    a->pieces = piece->next;
    free(piece);
  }
  gl_alloc_init(a);
}
