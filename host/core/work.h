/* SPDX-License-Identifier: MIT
 *
 * Blocking C code on the loop's thread pool, as an op: `run` executes on a pool thread and touches nothing
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
  void (*after)(struct gl_work *w, int status); /* on the loop, instead of gl_op_done; NULL = the op is done then */
  int result;                     /* set by run: what op.status will be */
} gl_work;

/* Starts `w->run` for an op that is awaited by other means, or whose `after` decides what comes next: gl_op_done, or another
 * start. `after` is called once for each start, never before this returns. */
void gl_work_start(gl_work *w);

/* Starts `w->run` and waits for it. A cancel drops a job that has not started; a job that runs ends by itself, with the op
 * detached. Use as `return gl_work_await(...)`. */
int gl_work_await(lua_State *L, gl_work *w, double timeout);

/* The cancel of every optype built on gl_work. */
void gl_work_cancel(gl_op *op);

#endif
