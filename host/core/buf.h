/* SPDX-License-Identifier: MIT
 *
 * A growable byte buffer that is consumed from the front. Its bytes are counted (core/memory.h). No Lua, no loop.
 */
#ifndef GL_CORE_BUF_H
#define GL_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gl_buf {
  char *data;
  size_t off; /* first byte not consumed */
  size_t len; /* bytes from `off` on */
  size_t cap; /* allocated */
} gl_buf;

static inline char *gl_buf_at(const gl_buf *b) { return b->data + b->off; }

/* Makes room for `n` more bytes and returns its address; gl_buf_grew then says how many of them were used. NULL: out of memory, or
 * --max-memory refuses. */
char *gl_buf_room(gl_buf *b, size_t n);
static inline void gl_buf_grew(gl_buf *b, size_t n) { b->len += n; }

/* Appends `n` bytes. False: out of memory, and nothing was appended. */
bool gl_buf_add(gl_buf *b, const void *bytes, size_t n);

/* Drops `n` bytes (<= len) from the front. */
void gl_buf_eat(gl_buf *b, size_t n);

/* Takes the last `n` bytes back, and into `into` unless it is NULL. False: there are not as many. */
bool gl_buf_retract(gl_buf *b, size_t n, char *into);

void gl_buf_free(gl_buf *b);

/* Lets an empty buffer serve another that is filled soon: one leaves its memory in `spare` if that is vacant and the memory is not
 * much, else frees it; the other takes it unless it has memory. */
void gl_buf_leave(gl_buf *b, gl_buf *spare);
static inline void gl_buf_reuse(gl_buf *b, gl_buf *spare) {
  if (b->data) return;
  *b = *spare;
  *spare = (gl_buf){0};
}

#endif
