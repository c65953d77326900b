/* SPDX-License-Identifier: MIT
 *
 * Our end of a pipe to another process. It is a real pipe, not a socket, since programs may open /dev/stdin.
 *
 *     the reading end:
 *       (none) --- gl_pipe_open -----> PAUSED
 *       PAUSED --- gl_pipe_start ----> READING: on_read adds to `in`, and calls `news`
 *       READING -- look: more than IN_HIGH bytes and nobody reads: pause_reading ---> PAUSED (the other process waits)
 *       READING -- on_read: the end, or an error ---> ENDED
 *       any ------ gl_pipe_close -----> CLOSED (ended = UV_ECANCELED), on_closed
 *
 *     the writing end:
 *       OPEN ----- gl_pipe_finish: bytes are on their way ---> FINISHING: gl_pipe_try says EPIPE
 *       OPEN ----- gl_pipe_finish: none is -----------------> CLOSED
 *       FINISHING -- on_write, on_last_write: the queue is empty ---> CLOSED
 *
 * Invariants:
 *   1. `reader` is the op of at most one task, from gl_pipe_read to push_read: what was found for it stays at the front of `in`.
 *   2. `ended` once set stays; bytes in `in` are read before it is told.
 *   3. `refs` counts the handle of libuv, the caller, and each op and last write on its way.
 */
#ifndef GL_PROCESS_PIPE_H
#define GL_PROCESS_PIPE_H

#include "core/buf.h"
#include "core/op.h"
#include "io/format.h"

typedef struct gl_pipe gl_pipe;

struct gl_pipe {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
  } uv;
  gl_host *host;
  gl_buf in;                /* arrived, not read */
  gl_op *reader;            /* the read that waits, or was answered and is not pushed yet */
  void (*news)(gl_pipe *p); /* on the loop: bytes or the end came; set by gl_pipe_open, may be replaced */
  void *owner;              /* for news */
  uint32_t refs;
  int ended;                /* 0; then UV_EOF, or the error reading ended with */
  bool writes;              /* this is the writing end */
  bool reading;
  bool finish;              /* FINISHING */
  bool closing;             /* CLOSED */
};

/* A pipe with our end in *p (one reference is the caller's, census.handles counts it until it is closed) and the
 * other process's in *theirs, which is the caller's to close. 0 or UV_E*. */
int gl_pipe_open(gl_host *h, bool writes, gl_pipe **p, int *theirs);

/* Begins to read. Returns 0 or UV_E*. Idempotent. */
int gl_pipe_start(gl_pipe *p);

/* Closes now; a read that waits ends with ECANCELED. Idempotent. */
void gl_pipe_close(gl_pipe *p);

/* Closes once `rest` (taken over) and the bytes on their way are written. Never waits. */
void gl_pipe_finish(gl_pipe *p, gl_buf *rest);

void gl_pipe_unref(gl_pipe *p);

/* ---- reading from Lua ---- */

/* Answer the formats in the arguments first..top, none = a line; or, with `some` > 0, push what there is, 1 to `some`
 * bytes, nil at the end. Waits as long as needed; use as `return gl_pipe_read(...)`. Raises EBUSY when another task
 * reads. */
int gl_pipe_read(lua_State *L, gl_pipe *p, int first, size_t some, double timeout);

/* ---- writing from Lua ---- */

/* What the pipe did not take at once. op.status says how it ended. */
typedef struct gl_write_op {
  gl_op op;
  gl_pipe *pipe;
  uv_write_t req;
} gl_write_op;

void gl_write_free(gl_op *op);

/* Write as much as goes without waiting, moving *bytes and *n on. 0 = all of it, UV_EAGAIN = a part, or UV_E*. */
int gl_pipe_try(gl_pipe *p, const char **bytes, size_t *n);

/* Write bytes that live as long as `w`, a new op whose `free` is (or calls) gl_write_free, and wait. There is no
 * cancelling: half a write would be worse, so the rest goes out behind the back of who gave up. */
int gl_pipe_write(lua_State *L, gl_pipe *p, gl_write_op *w, const char *bytes, size_t n, double timeout);

#endif
