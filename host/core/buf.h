/* SPDX-License-Identifier: MIT
 *
 * A growable byte buffer that is consumed from the front. What it holds is counted (core/memory.h). No Lua, no loop.
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

/* Room for `n` more bytes, at the returned address; NULL: out of memory, or of what --max-memory allows. gl_buf_grew() then says how many
 * were used. */
char *gl_buf_room(gl_buf *b, size_t n);
static inline void gl_buf_grew(gl_buf *b, size_t n) { b->len += n; }

/* Append. False: out of memory, nothing was appended. */
bool gl_buf_add(gl_buf *b, const void *bytes, size_t n);

/* Drop `n` bytes (<= len) from the front. */
void gl_buf_eat(gl_buf *b, size_t n);

void gl_buf_free(gl_buf *b);

#endif
