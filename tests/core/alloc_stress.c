/* SPDX-License-Identifier: MIT
 *
 * The small-block memory (host/core/alloc.h) under stress: blocks of all sizes come and go in waves, while it is trimmed, a
 * slice at a time or at once, between any two of them. No block may be handed out twice or lose what is in it, and after the
 * last one went nearly nothing may be held. cc -I host tests/core/alloc_stress.c host/core/alloc.c
 */
#include "core/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 40000

static struct {
  unsigned char *at;
  size_t n;
  unsigned char mark;
} blocks[BLOCKS];

static uint32_t seed;

static uint32_t draw(uint32_t below) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed % below;
}

static void fail(const char *what) {
  printf("%s\n", what);
  exit(EXIT_FAILURE);
}

static void take(gl_alloc *a, size_t i) {
  blocks[i].n = 1 + draw(draw(4) ? 128 : GL_SMALL);
  blocks[i].mark = (unsigned char)draw(256);
  blocks[i].at = gl_block_alloc(a, blocks[i].n);
  if (!blocks[i].at) fail("no memory");
  memset(blocks[i].at, blocks[i].mark, blocks[i].n);
}

static void give(gl_alloc *a, size_t i) {
  for (size_t k = 0; k < blocks[i].n; k++)
    if (blocks[i].at[k] != blocks[i].mark) fail("a block was overwritten");
  gl_block_free(a, blocks[i].at, blocks[i].n);
  blocks[i].at = NULL;
}

static void trim(gl_alloc *a) {
  uint32_t how = draw(40);
  if (how == 0) gl_alloc_trim(a);
  else if (how == 1) while (gl_alloc_trim_some(a)) continue;
  else if (how < 20) gl_alloc_trim_some(a);
}

/* Some, or a stretch of neighbours, which leaves whole pieces and regions idle. */
static void wave(gl_alloc *a, bool up) {
  size_t n = draw(BLOCKS), first = draw(BLOCKS);
  bool stretch = draw(2);
  for (size_t k = 0; k < n; k++) {
    size_t i = stretch ? (first + k) % BLOCKS : draw(BLOCKS);
    if (up && !blocks[i].at) take(a, i);
    else if (!up && blocks[i].at) give(a, i);
    if (draw(2000) == 0) trim(a);
  }
}

int main(int argc, char **argv) {
  gl_alloc a;
  seed = argc > 1 ? (uint32_t)atoi(argv[1]) | 1 : 1;
  gl_alloc_init(&a);
  for (int i = 0; i < 60; i++) {
    wave(&a, draw(2));
    trim(&a);
    if (gl_alloc_used(&a) > gl_alloc_held(&a)) fail("more is used than held");
  }
  for (size_t i = 0; i < BLOCKS; i++)
    if (blocks[i].at) give(&a, i);
  while (gl_alloc_trim_some(&a)) continue;
  if (gl_alloc_used(&a) != 0 || gl_alloc_held(&a) > 128 * 1024) fail("something is held at the end");
  gl_alloc_free(&a);
  puts("fine");
  return EXIT_SUCCESS;
}
