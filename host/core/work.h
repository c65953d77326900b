/* SPDX-License-Identifier: MIT
 *
 * Blocking C on the loop's thread pool, as an op: `run` executes on a pool thread and touches nothing
 * but its own struct.
 */
#ifndef GL_CORE_WORK_H
#define GL_CORE_WORK_H

#include "core/op.h"

/* First member of the op's struct. `run` stores its results in the struct, and in op.status when it fails. */
typedef struct gl_work {
  gl_op op;
  uv_work_t req;
  void (*run)(struct gl_work *w); /* on a pool thread */
  void (*after)(struct gl_work *w, int status); /* on the loop, instead of done; NULL: the op is done */
  int result;                     /* what op.status will be, set by run */
} gl_work;

/* Start `w->run` for an op that is awaited by other means, or whose `after` decides what comes next: done, or
 * another start. `after` is called once for each start, never before this returns. */
void gl_work_start(gl_work *w);

/* Start `w->run` and wait for it. Cancelling drops a job that has not started; one that runs is left to
 * end by itself. Use as `return gl_work_await(...)`. */
int gl_work_await(lua_State *L, gl_work *w, double timeout);

/* The cancel of every optype built on gl_work. */
void gl_work_cancel(gl_op *op);

#endif
