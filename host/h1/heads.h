/* SPDX-License-Identifier: MIT
 *
 * Heads that are not in use, kept for the next messages since a head keeps its memory. Zeroed memory is an empty store. Plain C: no Lua,
 * no loop.
 */
#ifndef GL_H1_HEADS_H
#define GL_H1_HEADS_H

#include "h1/head.h"

typedef struct gl_heads {
  gl_head *first;
  unsigned n; /* heads in the store */
} gl_heads;

/* Returns an empty head, the caller's, if possible from the store. NULL: out of memory. */
gl_head *gl_heads_take(gl_heads *s);

/* Takes a head over: into the store, unless the head is large or there are many. */
void gl_heads_give(gl_heads *s, gl_head *h);

/* Frees all heads in the store. */
void gl_heads_free(gl_heads *s);

#endif
