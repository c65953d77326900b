/* SPDX-License-Identifier: MIT */
#include "core/clock.h"

#include <stdlib.h>
#include <uv.h>

static void put_in_slot(gl_clock *c, gl_timer *t, uint32_t i) {
  c->heap[i] = t;
  t->slot = i + 1;
}

static void sift_up(gl_clock *c, gl_timer *t, uint32_t i) {
  while (i > 0) {
    uint32_t up = (i - 1) / 2;
    if (c->heap[up]->due <= t->due) break;
    put_in_slot(c, c->heap[up], i);
    i = up;
  }
  put_in_slot(c, t, i);
}

static void sift_down(gl_clock *c, gl_timer *t, uint32_t i) {
  for (;;) {
    uint32_t kid = 2 * i + 1;
    if (kid >= c->len) break;
    if (kid + 1 < c->len && c->heap[kid + 1]->due < c->heap[kid]->due) kid++;
    if (t->due <= c->heap[kid]->due) break;
    put_in_slot(c, c->heap[kid], i);
    i = kid;
  }
  put_in_slot(c, t, i);
}

uint64_t gl_clock_after(uint64_t now, double seconds) {
  if (!(seconds > 0)) return now; /* negative, or NaN */
  if (seconds > GL_FOREVER) seconds = GL_FOREVER;
  return now + (uint64_t)(seconds * 1e9);
}

bool gl_timer_arm_at(gl_clock *c, gl_timer *t, uint64_t due) {
  t->due = due;
  if (gl_timer_is_armed(c, t)) {
    uint32_t i = t->slot - 1;
    if (i > 0 && c->heap[(i - 1) / 2]->due > due) sift_up(c, t, i);
    else sift_down(c, t, i);
    return true;
  }
  if (c->len == c->cap) {
    uint32_t cap = c->cap ? c->cap * 2 : 64;
    gl_timer **heap = realloc(c->heap, cap * sizeof *heap);
    if (!heap) return false;
    c->heap = heap;
    c->cap = cap;
  }
  sift_up(c, t, c->len++);
  return true;
}

bool gl_timer_arm(gl_clock *c, gl_timer *t, double seconds) {
  return gl_timer_arm_at(c, t, gl_clock_after(uv_hrtime(), seconds));
}

void gl_timer_drop(gl_clock *c, gl_timer *t) {
  if (!gl_timer_is_armed(c, t)) return;
  uint32_t i = t->slot - 1;
  t->slot = 0;
  gl_timer *last = c->heap[--c->len];
  if (last == t) return;
  if (i > 0 && c->heap[(i - 1) / 2]->due > last->due) sift_up(c, last, i);
  else sift_down(c, last, i);
}

uint64_t gl_clock_next(const gl_clock *c) { return c->len ? c->heap[0]->due : 0; }

void gl_clock_fire(gl_clock *c, uint64_t now) {
  while (c->len && c->heap[0]->due <= now) { /* a timer that is armed meanwhile is due after `now` */
    gl_timer *t = c->heap[0];
    gl_timer_drop(c, t);
    t->fire(t);
  }
}

void gl_clock_free(gl_clock *c) {
  free(c->heap);
  *c = (gl_clock){0};
}
