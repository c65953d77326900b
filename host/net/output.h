/* SPDX-License-Identifier: MIT
 *
 * Bytes on their way out of a stream, in order: first a buffer, where nearly all of them are; behind it segments, once bytes that
 * several streams send (core/bytes.h) are among them. A segment is such bytes, which are not copied, or a buffer of its own for
 * what comes after. No Lua, no loop. Zeroed memory is an empty output.
 */
#ifndef GL_NET_OUTPUT_H
#define GL_NET_OUTPUT_H

#include <uv.h>

#include "core/buf.h"
#include "core/bytes.h"

#define GL_OUTPUT_MAX ((size_t)UINT32_MAX) /* bytes of one buffer or segment: what uv_buf_init can say */

typedef struct gl_segment gl_segment;

typedef struct gl_output {
  gl_buf first;
  gl_segment *head, *tail;
  size_t behind; /* bytes in the segments */
} gl_output;

static inline size_t gl_output_len(const gl_output *o) { return o->first.len + o->behind; }

/* Returns the buffer that the next bytes go to; call gl_output_grew when some were added. NULL: out of memory. */
gl_buf *gl_output_last(gl_output *o);
static inline gl_buf *gl_output_end(gl_output *o) { return o->head ? gl_output_last(o) : &o->first; }
static inline void gl_output_grew(gl_output *o, size_t n) {
  if (o->head) o->behind += n;
}

/* Adds `n` shared bytes, from `at` on, without a copy. False: out of memory. */
bool gl_output_share(gl_output *o, gl_bytes *bytes, size_t at, size_t n);

/* Makes buffers for a write, `max` of them at most, of an output that is not empty. Returns how many there are, and their bytes. */
unsigned gl_output_all_buffers(const gl_output *o, uv_buf_t *bufs, unsigned max, size_t *bytes);
static inline unsigned gl_output_buffers(const gl_output *o, uv_buf_t *bufs, unsigned max, size_t *bytes) {
  if (o->head) return gl_output_all_buffers(o, bufs, max, bytes);
  *bytes = o->first.len;
  bufs[0] = uv_buf_init(gl_buf_at(&o->first), (unsigned)o->first.len);
  return 1;
}

/* How many buffers all of it is. */
unsigned gl_output_count(const gl_output *o);

/* Drops `n` bytes from the front. */
void gl_output_eat_segments(gl_output *o, size_t n);
static inline void gl_output_eat(gl_output *o, size_t n) {
  size_t part = n < o->first.len ? n : o->first.len;
  gl_buf_eat(&o->first, part);
  if (n > part) gl_output_eat_segments(o, n - part);
}

/* Takes the last `n` bytes back, which were copied in, and into `into` unless it is NULL. False: they are not all there. */
bool gl_output_retract(gl_output *o, size_t n, char *into);

/* Frees what there is; the output is empty then. */
void gl_output_free(gl_output *o);

#endif
