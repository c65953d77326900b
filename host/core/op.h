/* SPDX-License-Identifier: MIT
 *
 * One pending operation, and the only way a binding may wait.
 * Life: new -> started -> done exactly once -> pushed or dropped -> freed.
 *
 * A waiting function is three steps, check, start, await; its callback is two, store, done:
 *
 *     static int fs_stat(lua_State *L) {
 *       const char *path = luaL_checkstring(L, 1);                      check: may raise
 *       stat_op *s = gl_op_new(L, &stat_type, sizeof *s, 1);            from here to gl_await nothing raises
 *       int err = uv_fs_stat(gl_loop(L), &s->req, path, on_stat);       start
 *       if (err) gl_op_done(&s->op, err);
 *       return gl_await(L, &s->op, GL_FOREVER);                         await
 *     }
 *     static void on_stat(uv_fs_t *req) { gl_op_done(req->data, (int)req->result); }
 */
#ifndef GL_CORE_OP_H
#define GL_CORE_OP_H

#include "core/clock.h"
#include "core/host.h"

/* What all ops of one kind share. */
typedef struct gl_optype {
  const char *name;                       /* "fs.stat": errors, traces, the inspector */
  int (*push)(lua_State *L, gl_op *op);   /* on the waiting coroutine, protected, may raise; returns its result count */
  void (*cancel)(gl_op *op);              /* on the loop: make done come soon; NULL = it cannot be stopped */
  void (*free)(gl_op *op);                /* release what the op owns, not the op; calls no Lua; may be NULL */
  void (*object)(const gl_op *op, char *out, size_t size); /* what it is about, for people: a path, an address; may be NULL */
} gl_optype;

/* First member of every request struct. Bindings read `status`, and may queue it: core/opqueue.h. */
struct gl_op {
  const gl_optype *type;
  gl_host *host;
  gl_task *task;    /* who waits; NULL before await and once detached */
  gl_op *next;      /* free for the binding's own queue (core/opqueue.h) until done; then the host's */
  gl_op *prev;      /* in a queue */
  gl_timer timeout;
  int status;       /* 0 or UV_E*, valid when done */
  int pin;          /* registry reference of the value whose bytes the op uses */
  uint32_t since;   /* loop time, ms, the low bits, when it was made */
  uint16_t size;    /* of the whole op */
  bool done;
  bool detached;
};

/* A new op of `size` bytes, zeroed past the header. `pin_idx`: stack index of a value to keep alive until
 * the op is freed (bytes being written), 0 = none. Raises when there is no task to wait, the task was
 * cancelled or is within task.atomic, a finalizer is running, memory is out, or `size` is 64 KB or more. Runs no Lua, no
 * finalizer either: what the caller saw before the call is still so. From here until gl_await nothing may raise. */
void *gl_op_new(lua_State *L, const gl_optype *type, size_t size, int pin_idx);

/* "fs.stat notes.txt": what it does, and to what. */
void gl_op_describe(const gl_op *op, char *out, size_t size);

/* Raise EFINALIZER in a finalizer. For what hands out bytes that are there already, too, in a function that may wait: pushing
 * them may run finalizers, and one of those must not take the same bytes. */
void gl_op_refuse_finalizer(lua_State *L, const gl_optype *type);

/* Raise what gl_op_new would raise, but for memory: for those who must change something before it. */
void gl_op_check(lua_State *L, const gl_optype *type);

/* Wait until the op is done: yields where that is possible, parks elsewhere. `timeout` in seconds
 * (GL_FOREVER = none). Always `return gl_await(...)`. Results: what push returns. Raises ETIMEDOUT and
 * ECANCELED as error objects; the op is then detached: it lives on until done and frees itself. */
int gl_await(lua_State *L, gl_op *op, double timeout);

/* Loop side: the op is finished. Exactly once for each started op, also after cancel. */
void gl_op_done(gl_op *op, int status);

/* Let the waiting task go on without the op (timeout, cancel). Core only. */
void gl_op_detach(gl_op *op, int outcome);

/* Free ops that were done after they were detached. Core only. */
void gl_op_reap(gl_host *h);

/* Free an op that is done. Core only. */
void gl_op_free(gl_op *op);

/* Timeout argument `idx` in seconds: `def` when absent. Raises on anything but a number >= 0. */
double gl_check_timeout(lua_State *L, int idx, double def);

#endif
