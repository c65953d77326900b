/* SPDX-License-Identifier: MIT */
#include "core/buf.h"

#include <stdint.h>
#include <string.h>

#include "core/memory.h"

#define SPARE_MAX ((size_t)4096) /* bytes that are kept as a spare buffer */

char *gl_buf_room(gl_buf *b, size_t n) {
  size_t end = b->off + b->len;
  if (b->data && n <= b->cap - end) return b->data + end;
  if (b->off) {
    memmove(b->data, b->data + b->off, b->len);
    b->off = 0;
    if (n <= b->cap - b->len) return b->data + b->len;
  }
  if (n > SIZE_MAX / 4 - b->len) return NULL;
  size_t cap = b->cap ? b->cap : 512;
  while (cap < b->len + n) cap *= 2;
  char *data = gl_memory_resize(b->data, b->cap, cap);
  if (!data) return NULL;
  b->data = data;
  b->cap = cap;
  return data + b->len;
}

bool gl_buf_add(gl_buf *b, const void *bytes, size_t n) {
  if (!n) return true;
  char *room = gl_buf_room(b, n);
  if (!room) return false;
  memcpy(room, bytes, n);
  b->len += n;
  return true;
}

void gl_buf_eat(gl_buf *b, size_t n) {
  b->off += n;
  b->len -= n;
  if (!b->len) b->off = 0;
}

bool gl_buf_retract(gl_buf *b, size_t n, char *into) {
  if (n > b->len) return false;
  b->len -= n;
  if (into && n) memcpy(into, gl_buf_at(b) + b->len, n); /* an empty buffer has no address */
  return true;
}

void gl_buf_free(gl_buf *b) {
  if (b->data) gl_memory_resize(b->data, b->cap, 0);
  *b = (gl_buf){0};
}

void gl_buf_leave(gl_buf *b, gl_buf *spare) {
  if (spare->data || b->cap > SPARE_MAX) {
    gl_buf_free(b);
    return;
  }
  *spare = *b;
  *b = (gl_buf){0};
}
