/* SPDX-License-Identifier: MIT */
#include "core/step.h"

#include <stdlib.h>
#include <string.h>

#include "core/alone.h"
#include "core/base.h"
#include "core/check.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/memory.h"
#include "core/opqueue.h"
#include "core/owned.h"
#include "core/scope.h"
#include "core/shake.h"
#include "core/stack.h"
#include "core/task.h"
#include "core/trace.h"

/* ---- the end ---- */

/* Makes the traceback of the task at index 1, whose coroutine has failed with the error on top of it. */
static int take_trace(lua_State *L) {
  gl_task *t = lua_touserdata(L, 1);
  lua_pushvalue(t->co, -1);
  lua_xmove(t->co, L, 1);
  bool awaited = t->joiners.head || !t->cancelled || t->trace_cancel;
  if (!awaited && gl_error_is(L, -1, "ECANCELED")) return 0; /* nobody will see this trace, and making it would take most of the time */
  gl_trace_failed(L, t);
  gl_trace_push(L, t->co, NULL, 0, -1);
  if (t->spawn_site) {
    lua_pushfstring(L, "\n\t(...task %d %s%s)", (int)t->id, gl_task_spawn_words(t), t->spawn_site);
    lua_concat(L, 2);
  } else if (t->id != 1) { /* the script's traceback is what lua would print */
    lua_pushfstring(L, "\n\t(...task %d)", (int)t->id);
    lua_concat(L, 2);
  }
  free(t->trace);
  t->trace = strdup(lua_tostring(L, -1));
  return 0;
}

/* Pushes the error of a C module that yielded by itself, to nobody. A function of its own, so that it can be called protected. */
static int push_stray_yield(lua_State *L) {
  lua_pushliteral(L, "attempt to yield from outside a coroutine");
  return 1;
}

/* Ends a coroutine that failed, or yielded to nobody (`stray`). Its frames still stand, so they are traced first; then its
 * to-be-closed variables are closed. They may wait, which parks: this is on the driver's frames. Returns the status to
 * finish with; one error is then all that is on the coroutine. */
static int fail_coroutine(gl_task *t, bool stray) {
  gl_host *h = t->host;
  lua_State *L = h->L;
  t->kill_count = 0; /* nothing can catch an error any more; the variables get their time */
  gl_scope_request_end(t);
  gl_scope_grant_cleanup(t);
  gl_alone before = gl_alone_begin(h); /* the trace is the host's: it may take memory that the task could not have */
  lua_pushcfunction(L, take_trace);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* out of memory: no trace */
  gl_alone_end(h, before);
  int status = lua_resetthread(t->co);
  if (!stray || status != LUA_OK) return status;
  lua_pushcfunction(t->co, push_stray_yield);
  status = lua_pcall(t->co, 0, 1, 0);
  return status == LUA_OK ? LUA_ERRRUN : status;
}

static void finish_task(gl_task *t, int status, int nresults) {
  gl_host *h = t->host;
  gl_alone before = gl_alone_begin(h);
  GL_CHECK(!t->op && !t->stack);
  t->state = GL_TASK_ENDED;
  t->status = (uint8_t)status;
  if (gl_fault_forget(h, t)) gl_memory_set_edge(h);
  if (t->spent) gl_op_free(t->spent);
  t->spent = NULL;
  while (t->scope) gl_scope_leave(h, t->scope);
  if (t->context_ref != LUA_NOREF) luaL_unref(h->L, LUA_REGISTRYINDEX, t->context_ref);
  gl_task_unlink(t);
  gl_budget_leave(h, t);
  if (status != LUA_OK) gl_base_fail(t);
  if (t->owned) gl_owned_end_all(t);
  if (t->joiners.head) t->joined = true;
  if (t->on_end) t->on_end(t, status, nresults);
  if (status == LUA_OK) gl_base_release(t); /* on_end has taken the results */
  gl_opqueue_finish(&t->joiners, 0);
  gl_task_unref(t);
  gl_alone_end(h, before);
}

/* ---- the step ---- */

static bool has_begun(const gl_task *t) { return t->co && (t->stack || lua_status(t->co) == LUA_YIELD); }

/* Puts off the first step of a task by one batch, once, while memory is scarce. */
static bool defer_start(gl_host *h, gl_task *t) {
  if (t->start_deferred || !gl_memory_is_scarce(h) || has_begun(t)) return false;
  t->start_deferred = true;
  gl_runqueue_add(h, t);
  return true;
}

/* Gives a C task a coroutine with its main function on it. False: out of memory. */
static bool load_main(gl_host *h, gl_task *t) {
  gl_alone before = gl_alone_begin(h);
  bool acquired = gl_base_acquire(h, t);
  gl_alone_end(h, before);
  if (!acquired) return false;
  lua_pushcfunction(t->co, t->main);
  lua_pushlightuserdata(t->co, t->owner);
  t->nargs = 1;
  return true;
}

/* Resumes the base coroutine, which runs until the task waits or ends. */
static void resume_base(gl_host *h, gl_task *t) {
  int nresults, nargs = t->nargs;
  t->nargs = 0;
  gl_host_set_running(h, t->co);
  if (h->shake) gl_shake_arm(t->co);
  if (t->exhausted && lua_status(t->co) == LUA_OK && h->watchdog) gl_hook_insist(t->co, 1); /* it has not begun, and need not */
  int status = lua_resume(t->co, NULL, nargs, &nresults);
  bool waits = status == LUA_YIELD && h->awaiting;
  if (waits) {
    h->awaiting = false;
  } else if (status != LUA_OK) {
    status = fail_coroutine(t, status == LUA_YIELD);
    nresults = 1;
  }
  gl_budget_charge(h, t);
  h->task = NULL;
  gl_host_set_running(h, NULL);
  if (!waits) finish_task(t, status, nresults);
}

void gl_task_step(gl_host *h, gl_task *t) {
  GL_CHECK(!h->task && t->state == GL_TASK_READY);
  if (h->memory.limit) {
    if (defer_start(h, t)) return;
    gl_memory_charge(h, t);
  }
  h->task = t;
  gl_pulse_beat(&h->pulse);
  t->state = GL_TASK_RUNNING;
  if (t->stack) {
    gl_stack_hop_idle(h, t->stack); /* returns when a task parks on the stack it went on */
  } else if (t->co || load_main(h, t)) {
    resume_base(h, t);
  } else {
    h->task = NULL;
    finish_task(t, LUA_ERRMEM, 0);
  }
}
