/* SPDX-License-Identifier: MIT */
#include "core/alloc.h"

#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)

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

/* Carve one block; what is left of a piece that is too small for it goes to the spares. */
static void *carve(gl_alloc *a, size_t grains) {
  size_t n = grains * GL_GRAIN;
  if ((size_t)(a->end - a->at) < n) {
    size_t rest = (size_t)(a->end - a->at) / GL_GRAIN;
    char *piece = malloc(PIECE);
    if (!piece) return NULL;
    if (rest) {
      gl_block *b = (gl_block *)(void *)a->at;
      b->next = a->spare[rest];
      a->spare[rest] = b;
    }
    ((gl_block *)(void *)piece)->next = a->pieces;
    a->pieces = (gl_block *)(void *)piece;
    a->at = piece + GL_GRAIN;
    a->end = piece + PIECE;
  }
  void *block = a->at;
  a->at += n;
  return block;
}

void *gl_take(gl_alloc *a, size_t n) {
  if (!SMALL(n)) return malloc(n);
  size_t grains = (n + GL_GRAIN - 1) / GL_GRAIN;
  gl_block *b = a->spare[grains];
  if (!b) return carve(a, grains);
  a->spare[grains] = b->next;
  return b;
}

void *gl_take_zeroed(gl_alloc *a, size_t n) {
  void *block = gl_take(a, n);
  return block ? memset(block, 0, n) : NULL;
}

void gl_give(gl_alloc *a, void *block, size_t n) {
  if (!block) return;
  if (!SMALL(n)) {
    free(block);
    return;
  }
  gl_block *b = block;
  size_t grains = (n + GL_GRAIN - 1) / GL_GRAIN;
  b->next = a->spare[grains];
  a->spare[grains] = b;
}

void *gl_alloc_lua(void *ud, void *block, size_t old, size_t want) {
  gl_alloc *a = ud;
  if (want == 0) {
    gl_give(a, block, old);
    return NULL;
  }
  if (!block) return gl_take(a, want); /* `old` is then a type, not a size */
  if (!SMALL(old) && !SMALL(want)) return realloc(block, want);
  if (SMALL(old) && SMALL(want) && (old + GL_GRAIN - 1) / GL_GRAIN == (want + GL_GRAIN - 1) / GL_GRAIN) return block;
  void *moved = gl_take(a, want);
  if (!moved) return NULL;
  memcpy(moved, block, old < want ? old : want);
  gl_give(a, block, old);
  return moved;
}

void gl_alloc_free(gl_alloc *a) {
  while (a->pieces) {
    gl_block *piece = a->pieces;
    a->pieces = piece->next;
    free(piece);
  }
  *a = (gl_alloc){0};
}
