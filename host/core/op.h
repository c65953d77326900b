/* SPDX-License-Identifier: MIT
 *
 * One pending operation, and the only way a binding may wait.
 *
 *     gl_op_new --> NEW --(start)--> STARTED --gl_op_done--> DONE --conclude_wait: push--> freed
 *                                       |                      ^
 *                                       | gl_op_detach         | (gl_await finds it done: no wait at all)
 *                                       v (timeout, cancel)
 *                                    DETACHED --gl_op_done--> on h->reap --gl_op_reap--> freed
 *
 * Invariants:
 *  1. gl_op_done is called exactly once for each started op, also after `cancel`; `cancel` may call it at once.
 *  2. `task` is set from gl_await until the op is done or detached, and then that task's `op` is this op.
 *  3. A detached op belongs to nobody: the driver frees it once it is done. Until then its callback may still touch the op,
 *     so it must own all that the callback touches.
 *  4. `push` may raise: the op is then the task's `spent`, and freed with its next op or with the task.
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
  const char *name;                       /* "fs.stat": for errors, traces and the inspector */
  int (*push)(lua_State *L, gl_op *op);   /* pushes the results on the waiting coroutine and returns their number; may raise */
  void (*cancel)(gl_op *op);              /* makes done come soon; called on the loop; NULL = the operation cannot be stopped */
  void (*free)(gl_op *op);                /* releases what the op owns, but not the op; calls no Lua; may be NULL */
  void (*object)(const gl_op *op, char *out, size_t size); /* writes what the op is about (a path, an address); may be NULL */
  gl_task *(*awaits)(const gl_op *op);    /* the task that the op is done by, sooner or later; NULL = nobody knows */
} gl_optype;

/* First member of every request struct. A binding reads `status`, and may queue the op (core/opqueue.h). */
struct gl_op {
  const gl_optype *type;
  gl_host *host;
  gl_task *task;    /* the task that waits; NULL before gl_await and once detached */
  gl_op *next;      /* in the binding's own queue until the op is done; then in host->reap */
  gl_op *prev;      /* in the binding's own queue */
  gl_timer timeout;
  int status;       /* 0 or UV_E*, valid when done */
  int pin;          /* registry reference of the value whose bytes the op uses; LUA_NOREF = none */
  uint32_t since;   /* loop time when it was made, ms, the low bits */
  uint16_t size;    /* bytes of the whole op */
  bool done;
  bool detached;
};

/* Makes an op of `size` bytes, zeroed past the header. `pin_idx`: stack index of a value that must live until the op is freed
 * (bytes being written), 0 = none. Raises when no task runs, the task was cancelled or is within task.atomic, a finalizer is
 * running, memory is out, or `size` is 64 KB or more. Runs no Lua, no finalizer either: what the caller saw before the call is
 * still so. From here until gl_await nothing may raise. */
void *gl_op_new(lua_State *L, const gl_optype *type, size_t size, int pin_idx);

#define GL_LONGEST_CHAIN 100 /* tasks that wait for each other, beyond which nobody looks: they may wait in a circle */

/* Returns the task that `t` waits for; NULL: none, or nobody knows. */
gl_task *gl_op_awaited(const gl_task *t);

/* Writes what the op does, and to what: "fs.stat notes.txt". */
void gl_op_describe(const gl_op *op, char *out, size_t size);

/* Raises EFINALIZER when a finalizer is running. A function that may wait calls this also when it hands out bytes that are
 * there already: pushing them may run finalizers, and one of those must not take the same bytes. */
void gl_op_refuse_finalizer(lua_State *L, const gl_optype *type);

/* Raises what gl_op_new would raise, except for lack of memory: for a binding that must change something before gl_op_new. */
void gl_op_check(lua_State *L, const gl_optype *type);

/* Waits until the op is done: yields where that is possible, parks elsewhere. `timeout` in seconds (GL_FOREVER = none).
 * Always `return gl_await(...)`. Returns what push returns. Raises ETIMEDOUT, EDEADLINE, ECANCELED, or EMFILE when no
 * C stack is to be had; the op is then detached. */
int gl_await(lua_State *L, gl_op *op, double timeout);

/* Makes an op for gl_op_wait. NULL: out of memory. Raises nothing. */
void *gl_op_make(gl_host *h, const gl_optype *type, size_t size);

/* Waits as gl_await does, for C code that no error may unwind: always parks, never raises, and pushes no results. `due`, ns, is
 * when the wait is over (0 = never). `shielded`: no deadline of the task counts. Returns GL_DONE when the op was done, and has freed
 * it then; otherwise the gl_outcome by which the wait has ended, and the op is detached. */
int gl_op_wait(gl_op *op, uint64_t due, bool shielded);

/* Says that the op is finished: exactly once for each started op, also after cancel. Called on the loop. */
void gl_op_done(gl_op *op, int status);

/* Lets the task that waits for the op go on without it, with this outcome. Core only. */
void gl_op_detach(gl_op *op, int outcome);

/* Parks the running task of a wait that has begun; returns when it is woken. When no C stack is to be had, the task goes on at
 * once with GL_NO_STACK. Core only. */
void gl_op_park(gl_host *h, gl_task *t);

/* Frees the ops that were done after they were detached. Core only. */
void gl_op_reap(gl_host *h);

/* Frees an op that is done. Core only. */
void gl_op_free(gl_op *op);

/* Returns the timeout argument `idx` in seconds; `def` when absent. Raises on anything but a number >= 0. */
double gl_check_timeout(lua_State *L, int idx, double def);

#endif
