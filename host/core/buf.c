/* SPDX-License-Identifier: MIT */
#include "core/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *gl_buf_room(gl_buf *b, size_t n) {
  size_t end = b->off + b->len;
  if (n <= b->cap - end) return b->data + end;
  if (b->off && n <= b->cap - b->len) {
    memmove(b->data, b->data + b->off, b->len);
    b->off = 0;
    return b->data + b->len;
  }
  if (n > SIZE_MAX / 4 - b->len) return NULL;
  size_t cap = b->cap ? b->cap : 512;
  while (cap < b->len + n) cap *= 2;
  char *data = malloc(cap);
  if (!data) return NULL;
  if (b->len) memcpy(data, b->data + b->off, b->len);
  free(b->data);
  b->data = data;
  b->off = 0;
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

void gl_buf_free(gl_buf *b) {
  free(b->data);
  *b = (gl_buf){0};
}
