/* SPDX-License-Identifier: MIT */
#include "h1/heads.h"

#include <stdlib.h>

#define MOST 64            /* heads in a store */
#define LARGE_TEXT 16384   /* bytes of text from which on a head is large, */
#define LARGE_FIELDS 128   /* or header lines */

gl_head *gl_heads_take(gl_heads *s) {
  gl_head *h = s->first;
  if (!h) return calloc(1, sizeof *h);
  s->first = h->next;
  s->n--;
  gl_head_clear(h);
  return h;
}

void gl_heads_give(gl_heads *s, gl_head *h) {
  if (s->n >= MOST || h->cap > LARGE_TEXT || h->fields_cap > LARGE_FIELDS) {
    gl_head_free(h);
    return;
  }
  h->next = s->first;
  s->first = h;
  s->n++;
}

void gl_heads_free(gl_heads *s) {
  for (gl_head *h = s->first, *next; h; h = next) {
    next = h->next;
    gl_head_free(h);
  }
  *s = (gl_heads){0};
}
