/* SPDX-License-Identifier: MIT */
#include "net/output.h"

#include <stdlib.h>

struct gl_segment {
  gl_segment *next;
  gl_bytes *shared; /* referenced; NULL: the segment is the buffer `own` */
  size_t at, n;     /* the part of the shared bytes: its beginning and its length */
  gl_buf own;       /* the segment's own bytes */
};

static void segment_free(gl_segment *g) {
  if (g->shared) gl_bytes_unref(g->shared);
  gl_buf_free(&g->own);
  free(g);
}

static uv_buf_t buffer_of(const gl_segment *g) {
  return g->shared ? uv_buf_init(g->shared->at + g->at, (unsigned)g->n) : uv_buf_init(gl_buf_at(&g->own), (unsigned)g->own.len);
}

static gl_segment *add_segment(gl_output *o) {
  gl_segment *g = calloc(1, sizeof *g);
  if (!g) return NULL;
  if (o->tail) o->tail->next = g;
  else o->head = g;
  return o->tail = g;
}

static void drop_head(gl_output *o) {
  gl_segment *g = o->head;
  if (!(o->head = g->next)) o->tail = NULL;
  segment_free(g);
}

void gl_output_free(gl_output *o) {
  while (o->head) drop_head(o);
  gl_buf_free(&o->first);
  o->behind = 0;
}

gl_buf *gl_output_last(gl_output *o) {
  if (!o->tail->shared) return &o->tail->own;
  gl_segment *g = add_segment(o);
  return g ? &g->own : NULL;
}

bool gl_output_share(gl_output *o, gl_bytes *bytes, size_t at, size_t n) {
  gl_segment *g = add_segment(o);
  if (!g) return false;
  g->shared = gl_bytes_ref(bytes);
  g->at = at;
  g->n = n;
  o->behind += n;
  return true;
}

unsigned gl_output_all_buffers(const gl_output *o, uv_buf_t *bufs, unsigned max, size_t *bytes) {
  unsigned n = 0;
  *bytes = o->first.len;
  if (o->first.len) bufs[n++] = uv_buf_init(gl_buf_at(&o->first), (unsigned)o->first.len);
  for (const gl_segment *g = o->head; g && n < max; g = g->next) {
    bufs[n] = buffer_of(g);
    *bytes += bufs[n++].len;
  }
  return n;
}

unsigned gl_output_count(const gl_output *o) {
  unsigned n = o->first.len ? 1 : 0;
  for (const gl_segment *g = o->head; g; g = g->next) n++;
  return n;
}

void gl_output_eat_segments(gl_output *o, size_t n) {
  o->behind -= n;
  while (n) {
    gl_segment *g = o->head;
    size_t len = g->shared ? g->n : g->own.len;
    if (n >= len) {
      n -= len;
      drop_head(o);
    } else if (g->shared) {
      g->at += n;
      g->n -= n;
      return;
    } else {
      gl_buf_eat(&g->own, n);
      return;
    }
  }
}

bool gl_output_retract(gl_output *o, size_t n, char *into) {
  gl_buf *from = !o->head ? &o->first : o->tail->shared ? NULL : &o->tail->own;
  if (!from || !gl_buf_retract(from, n, into)) return false;
  if (o->head) o->behind -= n;
  return true;
}
