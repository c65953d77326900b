/* SPDX-License-Identifier: MIT */
#include "core/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/cut.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

#define OBJECT 256 /* bytes of the longest object of an op: a path, an address */

#ifdef GREENLUA_GC_STRESS
#define GC_STRESS(L) ((void)lua_gc((L), LUA_GCCOLLECT, 0))
#else
#define GC_STRESS(L) ((void)0)
#endif

/* A finalizer that waits would stop the collector for every task. */
void gl_op_refuse_finalizer(lua_State *L, const gl_optype *type) {
  if (gl_in_finalizer(L))
    gl_error_raise(L, type->name, "EFINALIZER", "cannot wait in a finalizer (__gc); close the value with <close> or by name instead");
}

/* The op's own timeout has passed, or the task's deadline, which one timer stands for. */
static void on_timeout(gl_timer *timer) {
  gl_op *op = GL_CONTAINER(timer, gl_op, timeout);
  gl_op_detach(op, gl_scope_check(op->task) == GL_DEADLINE_EXCEEDED ? GL_DEADLINE_EXCEEDED : GL_TIMED_OUT);
}

void gl_op_check(lua_State *L, const gl_optype *type) {
  gl_task *t = gl_host_of(L)->task;
  gl_op_refuse_finalizer(L, type);
  if (!t) gl_error_raise(L, type->name, "ENOTASK", "cannot wait outside of a task");
  if (t->atomic) gl_error_raise(L, type->name, "EATOMIC", "cannot wait within task.atomic");
  gl_scope_raise(L, t, type->name);
}

static void free_spent(gl_task *t) {
  if (t->spent) gl_op_free(t->spent);
  t->spent = NULL;
}

void *gl_op_make(gl_host *h, const gl_optype *type, size_t size) {
  gl_op *op = gl_block_calloc(&h->alloc, size);
  if (!op) return NULL;
  op->type = type;
  op->size = (uint16_t)size;
  op->host = h;
  op->since = (uint32_t)uv_now(&h->loop);
  op->pin = LUA_NOREF;
  op->timeout.fire = on_timeout;
  h->census.ops++;
  return op;
}

void *gl_op_new(lua_State *L, const gl_optype *type, size_t size, int pin_idx) {
  gl_op_check(L, type);
  if (size > UINT16_MAX) gl_error_raise(L, type->name, "E2BIG", "the arguments are too many or too long");
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  free_spent(t);
  int pin = LUA_NOREF;
  if (pin_idx) {
    lua_pushvalue(L, pin_idx);
    pin = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  gl_op *op = gl_op_make(h, type, size);
  if (!op) {
    luaL_unref(L, LUA_REGISTRYINDEX, pin);
    gl_error_raise(L, type->name, "ENOMEM", "not enough memory");
  }
  op->pin = pin;
  if (pin != LUA_NOREF) h->census.pins++;
  return op;
}

void gl_op_free(gl_op *op) {
  gl_host *h = op->host;
  if (op->type->free) op->type->free(op);
  if (op->pin != LUA_NOREF) {
    if (h->L) luaL_unref(h->L, LUA_REGISTRYINDEX, op->pin);
    h->census.pins--;
  }
  h->census.ops--;
  gl_block_free(&h->alloc, op, op->size);
}

void gl_op_done(gl_op *op, int status) {
  GL_CHECK(!op->done);
  op->done = true;
  op->status = status;
  gl_timer_drop(&op->host->clock, &op->timeout);
  if (op->task) {
    gl_task_wake(op->task, GL_DONE);
  } else if (op->detached) {
    op->next = op->host->reap;
    op->host->reap = op;
  }
}

void gl_op_reap(gl_host *h) {
  while (h->reap) {
    gl_op *op = h->reap;
    h->reap = op->next;
    gl_op_free(op);
  }
}

gl_task *gl_op_awaited(const gl_task *t) { return t->op && !t->op->done && t->op->type->awaits ? t->op->type->awaits(t->op) : NULL; }

void gl_op_describe(const gl_op *op, char *out, size_t size) {
  size_t n = (size_t)snprintf(out, size, "%s ", op->type->name);
  if (op->type->object && n < size) op->type->object(op, out + n, size - n);
  n = gl_cut_whole(out, strnlen(out, size - 1));
  out[n] = '\0';
  if (n && out[n - 1] == ' ') out[n - 1] = '\0';
}

/* The object of an op whose task stops waiting, for the error that comes when the op may be gone; NULL: none, or no memory. */
static char *name_object(const gl_op *op) {
  char object[OBJECT] = "";
  if (op->type->object) op->type->object(op, object, sizeof object);
  object[gl_cut_whole(object, strnlen(object, sizeof object - 1))] = '\0';
  return *object ? strdup(object) : NULL;
}

void gl_op_detach(gl_op *op, int outcome) {
  gl_task *t = op->task;
  GL_CHECK(t && !op->done);
  gl_timer_drop(&op->host->clock, &op->timeout);
  op->task = NULL;
  op->detached = true;
  t->op = NULL;
  t->detached_from = op->type->name;
  if (outcome == GL_TIMED_OUT || outcome == GL_DEADLINE_EXCEEDED) t->late_object = name_object(op);
  gl_task_wake(t, (gl_outcome)outcome);
  if (op->type->cancel) op->type->cancel(op); /* may call gl_op_done at once: the op is freed with the next reap */
}

/* Raises `why`, with the object that gl_op_detach has named. */
static int raise_late(lua_State *L, gl_task *t, const char *code, const char *why) {
  if (!t->late_object) return gl_error_raise(L, t->detached_from, code, "%s", why);
  char object[OBJECT];
  snprintf(object, sizeof object, "%s", t->late_object);
  free(t->late_object);
  t->late_object = NULL;
  return gl_error_raise(L, t->detached_from, code, "%s: %s", object, why);
}

/* Ends a wait, on the coroutine that waited: pushes the results or raises why there are none. */
static int conclude_wait(lua_State *L, gl_task *t) {
  GC_STRESS(L);
  if (t->outcome == GL_TIMED_OUT) return raise_late(L, t, "ETIMEDOUT", "timed out");
  if (t->outcome == GL_CANCELLED || t->outcome == GL_DEADLINE_EXCEEDED) gl_scope_request_end(t);
  if (t->outcome == GL_CANCELLED || t->outcome == GL_DEADLINE_EXCEEDED || t->outcome == GL_INTERRUPTED) gl_scope_tear(t);
  if (t->outcome == GL_CANCELLED) return gl_error_raise(L, t->detached_from, "ECANCELED", "the task was cancelled");
  if (t->outcome == GL_EXHAUSTED) return gl_scope_raise_exhausted(L, t, t->detached_from);
  if (t->outcome == GL_INTERRUPTED) return gl_scope_interrupt(L, t);
  if (t->outcome == GL_DEADLINE_EXCEEDED) return raise_late(L, t, "EDEADLINE", "the deadline passed");
  if (t->outcome == GL_NO_STACK)
    return gl_error_raise(L, t->detached_from, "EMFILE", "too many tasks wait where Lua cannot yield (%d)", (int)t->host->census.parked);
  gl_op *op = t->op;
  GL_CHECK(op && op->done);
  t->op = NULL;
  t->spent = op; /* freed with the next op or the task, should push raise */
  int n = op->type->push(L, op);
  t->spent = NULL;
  gl_op_free(op);
  return n;
}

static int await_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return conclude_wait(L, (gl_task *)ctx);
}

void gl_op_park(gl_host *h, gl_task *t) {
  if (gl_park(h, t)) return;
  t->state = GL_TASK_RUNNING; /* so that detaching does not make it ready */
  if (t->op) gl_op_detach(t->op, GL_NO_STACK);
}

/* The task waits from here on. Its C code may be in the middle of an exchange, which ends with that. */
static void begin_wait(gl_host *h, gl_task *t) {
  if (t->exchange && h->on_wait) h->on_wait(h, t);
  t->state = GL_TASK_WAITING;
}

int gl_await(lua_State *L, gl_op *op, double timeout) {
  gl_host *h = op->host;
  gl_task *t = h->task;
  GL_CHECK(!t->op && t->state == GL_TASK_RUNNING); /* one op per task */
  t->op = op;
  t->outcome = GL_DONE;
  GC_STRESS(L); /* first: a finalizer may do what ends the op */
  if (op->done) return conclude_wait(L, t);
  uint64_t due = timeout < GL_FOREVER ? gl_clock_after(uv_hrtime(), timeout) : 0, deadline = gl_scope_deadline(t);
  if (deadline && (!due || deadline < due)) due = deadline;
  if (due && !gl_timer_arm_at(&h->clock, &op->timeout, due)) {
    const char *name = op->type->name;
    op->task = t; /* RUNNING, so that detaching does not make it ready */
    gl_op_detach(op, GL_CANCELLED);
    return gl_error_raise(L, name, "ENOMEM", "not enough memory");
  }
  op->task = t;
  begin_wait(h, t);
  if (h->fault.waiter && gl_fault_in_wait(t) && (int)gl_scope_check(t) == h->fault.outcome) gl_op_detach(op, h->fault.outcome);
  if (L == h->running && lua_isyieldable(L)) {
    h->awaiting = true;
    return lua_yieldk(L, 0, (lua_KContext)t, await_k);
  }
  gl_op_park(h, t);
  return conclude_wait(L, t);
}

/* Ends a wait of gl_op_wait. */
static int conclude_in_c(gl_task *t) {
  gl_op *op = t->op;
  free(t->late_object); /* it is for an error in the name of this op, which is not raised */
  t->late_object = NULL;
  if (t->outcome != GL_DONE) return t->outcome;
  t->op = NULL;
  gl_op_free(op);
  return GL_DONE;
}

int gl_op_wait(gl_op *op, uint64_t due, bool shielded) {
  gl_host *h = op->host;
  gl_task *t = h->task;
  GL_CHECK(!t->op && t->state == GL_TASK_RUNNING);
  free_spent(t);
  t->op = op;
  t->outcome = GL_DONE;
  if (op->done) return conclude_in_c(t);
  uint64_t deadline = shielded ? 0 : gl_scope_deadline(t);
  if (deadline && (!due || deadline < due)) due = deadline;
  op->task = t;
  if (due && !gl_timer_arm_at(&h->clock, &op->timeout, due)) {
    gl_op_detach(op, GL_NO_STACK); /* RUNNING: it goes on at once */
    return conclude_in_c(t);
  }
  begin_wait(h, t);
  if (h->fault.waiter && gl_fault_in_wait(t) && (int)gl_scope_check(t) == h->fault.outcome) gl_op_detach(op, h->fault.outcome);
  gl_op_park(h, t);
  return conclude_in_c(t);
}

double gl_check_timeout(lua_State *L, int idx, double def) {
  if (lua_isnoneornil(L, idx)) return def;
  double seconds = luaL_checknumber(L, idx);
  luaL_argcheck(L, seconds >= 0, idx, "a timeout is a number of seconds >= 0");
  return seconds < GL_FOREVER ? seconds : GL_FOREVER;
}
