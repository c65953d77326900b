/* SPDX-License-Identifier: MIT */
#include "core/task.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/op.h"
#include "core/opqueue.h"
#include "core/owned.h"
#include "core/preempt.h"
#include "core/scope.h"
#include "core/shake.h"
#include "core/stack.h"
#include "core/trace.h"

/* ---- coroutines: a new one costs 0.3 us, a used one 0.1 ---- */

/* Pops the value on top of L. Besides its own, a coroutine has a place in the registry for what its task
 * keeps, at minus its own. */
static void set_kept(lua_State *L, const gl_task *t) { lua_rawseti(L, LUA_REGISTRYINDEX, -(lua_Integer)t->co_ref); }

static int new_coroutine(lua_State *L) {
  gl_task *t = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushboolean(L, 0);
  set_kept(L, t); /* made ahead: there may be no memory to be had later */
  t->co = co;
  return 0;
}

static bool acquire_coroutine(gl_host *h, gl_task *t) {
  lua_State *L = h->L;
  if (h->spares > 0) {
    gl_spare *s = &h->spare[--h->spares];
    t->co = s->co;
    t->co_ref = s->ref;
  } else {
    lua_pushcfunction(L, new_coroutine);
    lua_pushlightuserdata(L, t);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
      luaL_unref(L, LUA_REGISTRYINDEX, t->co_ref);
      t->co_ref = LUA_NOREF;
      return false;
    }
  }
  *gl_extra(t->co) |= GL_HELD_BIT;  /* nobody else resumes the base of a task */
  return true;
}

void gl_task_keep(lua_State *L, gl_task *t) {
  t->has_kept = true;
  set_kept(L, t);
}

void gl_task_push_kept(lua_State *L, gl_task *t) { lua_rawgeti(L, LUA_REGISTRYINDEX, -(lua_Integer)t->co_ref); }

/* A coroutine that returned can run again as it is, unless the script knows it by name. */
static void release_coroutine(gl_task *t) {
  gl_host *h = t->host;
  lua_State *co = t->co;
  int ref = t->co_ref;
  if (ref == LUA_NOREF) return;
  if (co) *gl_extra(co) &= ~GL_HELD_BIT;
  t->co = NULL;
  if (co && t->status == LUA_OK && !t->exposed && h->spares < GL_SPARES) {
    if (t->has_kept) {
      lua_pushboolean(h->L, 0);
      set_kept(h->L, t);
    }
    t->has_kept = false;
    t->co_ref = LUA_NOREF;
    lua_settop(co, 0);
    if (lua_gethook(co)) lua_sethook(co, NULL, 0, 0);
    h->spare[h->spares++] = (gl_spare){co, ref};
    return;
  }
  lua_pushnil(h->L);
  set_kept(h->L, t);
  luaL_unref(h->L, LUA_REGISTRYINDEX, ref);
  t->co_ref = LUA_NOREF;
}

static const char nothing; /* stands for nil, which would free its place */

/* The error takes the place of the coroutine that failed, which is garbage now: the many tasks that a hoarder spawned make
 * room as they are cancelled, each for the error of the next. Allocates nothing. */
static void keep_error(gl_task *t) {
  lua_State *L = t->host->L;
  if (!t->co) return;
  *gl_extra(t->co) &= ~GL_HELD_BIT;
  lua_xmove(t->co, L, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&nothing);
  }
  lua_rawseti(L, LUA_REGISTRYINDEX, t->co_ref);
  t->co = NULL;
}

bool gl_task_push_error(lua_State *L, gl_task *t) {
  if (t->co_ref == LUA_NOREF) return false; /* it did not even begin */
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  if (lua_touserdata(L, -1) == &nothing) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return true;
}

/* ---- life ---- */

static gl_task *task_new(gl_host *h, void *owner, gl_task_end on_end) {
  gl_task *t = gl_take_zeroed(&h->alloc, sizeof *t);
  if (!t) return NULL;
  t->host = h;
  t->id = ++h->task_ids;
  t->owner = owner;
  t->on_end = on_end;
  t->born = (uint32_t)uv_now(&h->loop);
  t->co_ref = t->context_ref = LUA_NOREF;
  t->refs = 1;
  t->next_live = h->live;
  t->at_live = &h->live;
  if (h->live) h->live->at_live = &t->next_live;
  h->live = t;
  h->census.tasks++;
  return t;
}

gl_task *gl_task_start(gl_host *h, lua_CFunction main, void *owner, gl_task_end on_end, bool now) {
  gl_task *t = task_new(h, owner, on_end);
  if (!t) return NULL;
  t->main = main;
  if (now) gl_host_ready_now(h, t);
  else gl_host_ready(h, t);
  return t;
}

static void unlink_live(gl_task *t) {
  *t->at_live = t->next_live;
  if (t->next_live) t->next_live->at_live = t->at_live;
  t->host->census.tasks--;
}

gl_task *gl_task_spawn_system(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_host *h = gl_host_of(L);
  gl_task *t = task_new(h, owner, on_end);
  if (!t || !acquire_coroutine(h, t) || !lua_checkstack(t->co, nargs + 1)) {
    if (t) {
      unlink_live(t);
      release_coroutine(t);
      gl_give(&h->alloc, t, sizeof *t);
    }
    return NULL;
  }
  lua_xmove(L, t->co, nargs + 1);
  t->nargs = nargs;
  t->system = true;
  t->refs++;
  gl_host_ready(h, t);
  return t;
}

gl_task *gl_task_spawn(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_task *t = gl_task_spawn_system(L, nargs, owner, on_end), *parent = gl_host_of(L)->task;
  if (!t) return NULL;
  t->system = false;
  if (parent) {
    t->deadline = gl_scope_deadline(parent);
    t->line = parent->line;
    t->graced = parent->graced;
  }
  return t;
}

void gl_task_unref(gl_task *t) {
  if (--t->refs > 0) return;
  GL_CHECK(t->state == GL_TASK_ENDED);
  release_coroutine(t);
  gl_memory_forget(t->host, t);
  free(t->trace);
  gl_give(&t->host->alloc, t, sizeof *t);
}

/* What is raised at a C module that yielded by itself, to nobody. Protected, unlike the step it ends. */
static int push_astray(lua_State *L) {
  lua_pushliteral(L, "attempt to yield from outside a coroutine");
  return 1;
}

static int take_trace(lua_State *L) {
  gl_task *t = lua_touserdata(L, 1);
  lua_pushvalue(t->co, -1);
  lua_xmove(t->co, L, 1);
  bool awaited = t->joiners.head || !t->cancelled || t->trace_cancel;
  if (!awaited && gl_error_is(L, -1, "ECANCELED")) return 0; /* nobody is shown this; to write it takes longer than the rest */
  gl_trace_failed(L, t);
  gl_trace_push(L, t->co, NULL, 0, -1);
  if (t->spawn_site) {
    lua_pushfstring(L, "\n\t(...task %d spawned at %s)", (int)t->id, t->spawn_site);
    lua_concat(L, 2);
  }
  free(t->trace);
  t->trace = strdup(lua_tostring(L, -1));
  return 0;
}

/* Ends a coroutine that failed, or yielded to nobody (`astray`). Its frames still stand, so they are traced first; then its
 * to-be-closed variables are closed. They may wait, which parks: this is on the driver's frames. Returns the status to
 * finish with; one error is then all that is on the coroutine. */
static int fail_coroutine(gl_task *t, bool astray) {
  gl_host *h = t->host;
  lua_State *L = h->L;
  t->kill_count = 0; /* nothing can catch an error any more; the variables get their time */
  gl_host_set_running(h, NULL); /* the trace is the host's: it may take memory that the task could not have */
  lua_pushcfunction(L, take_trace);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* out of memory: no trace */
  gl_host_set_running(h, t->co);
  int status = lua_resetthread(t->co);
  if (!astray || status != LUA_OK) return status;
  lua_pushcfunction(t->co, push_astray);
  status = lua_pcall(t->co, 0, 1, 0);
  return status == LUA_OK ? LUA_ERRRUN : status;
}

static void finish(gl_task *t, int status, int nresults) {
  GL_CHECK(!t->op && !t->stack);
  t->state = GL_TASK_ENDED;
  t->status = (uint8_t)status;
  gl_fault_forget(t->host, t);
  if (t->spent) gl_op_free(t->spent);
  t->spent = NULL;
  while (t->scope) gl_scope_leave(t->host, t->scope);
  if (t->context_ref != LUA_NOREF) luaL_unref(t->host->L, LUA_REGISTRYINDEX, t->context_ref);
  unlink_live(t);
  if (status != LUA_OK) keep_error(t);
  if (t->owned) gl_owned_end_all(t);
  if (t->joiners.head) t->joined = true;
  if (t->on_end) t->on_end(t, status, nresults);
  if (status == LUA_OK) release_coroutine(t); /* whoever wants the results has them */
  gl_opqueue_finish(&t->joiners, 0);
  gl_task_unref(t);
}

static bool has_begun(const gl_task *t) { return t->co && (t->stack || lua_status(t->co) == LUA_YIELD); }

/* Puts off the first step of a task by one batch, once, while memory is scarce. */
static bool defer_start(gl_host *h, gl_task *t) {
  if (t->start_deferred || !gl_memory_is_scarce(h) || has_begun(t)) return false;
  t->start_deferred = true;
  gl_host_ready(h, t);
  return true;
}

/* Gives a task of C a coroutine with its main function on it. False: out of memory. */
static bool load_main(gl_host *h, gl_task *t) {
  if (!acquire_coroutine(h, t)) return false;
  lua_pushcfunction(t->co, t->main);
  lua_pushlightuserdata(t->co, t->owner);
  t->nargs = 1;
  return true;
}

/* Runs the base coroutine until the task waits or ends. It may park: other tasks then run before lua_resume returns. */
static void resume_base(gl_host *h, gl_task *t) {
  int nresults, nargs = t->nargs;
  t->nargs = 0;
  gl_host_set_running(h, t->co);
  if (h->shake) gl_shake_arm(t->co);
  int status = lua_resume(t->co, NULL, nargs, &nresults);
  bool waits = status == LUA_YIELD && h->awaiting;
  if (waits) {
    h->awaiting = false;
  } else if (status != LUA_OK) {
    status = fail_coroutine(t, status == LUA_YIELD);
    nresults = 1;
  }
  h->task = NULL;
  gl_host_set_running(h, NULL);
  if (!waits) finish(t, status, nresults);
}

void gl_task_step(gl_host *h, gl_task *t) {
  if (h->memory.limit) {
    if (defer_start(h, t)) return;
    gl_memory_charge(h, t);
  }
  h->task = t;
  gl_pulse_beat(&h->pulse);
  t->state = GL_TASK_RUNNING;
  if (t->stack) {
    gl_stack_hop_idle(h, t->stack); /* comes back when this stack is wanted again */
  } else if (t->co || load_main(h, t)) {
    resume_base(h, t);
  } else {
    h->task = NULL;
    finish(t, LUA_ERRMEM, 0);
  }
}

void gl_task_wake(gl_task *t, gl_outcome outcome) {
  if (gl_task_is_foreign(t)) return;
  t->outcome = (uint8_t)outcome;
  if (t->state != GL_TASK_WAITING) return; /* it is still on its way into the await, or ready already */
  gl_host_ready(t->host, t);
}

void gl_task_cancel(gl_task *t) {
  if (t->state == GL_TASK_ENDED || gl_task_is_foreign(t)) return;
  t->cancelled = true;
  if (t->op && !t->op->done && t->state == GL_TASK_WAITING && gl_scope_check(t) == GL_CANCELLED) gl_op_detach(t->op, GL_CANCELLED);
}

void gl_task_cancel_all(gl_host *h) {
  for (gl_task *t = h->live; t; t = t->next_live)
    if (!t->system) gl_task_cancel(t);
}

void gl_task_interrupt(gl_task *t) {
  if (t->state == GL_TASK_ENDED) return;
  t->interrupted = true;
  if (t->op && !t->op->done && t->state == GL_TASK_WAITING && gl_scope_check(t) == GL_INTERRUPTED) gl_op_detach(t->op, GL_INTERRUPTED);
}

void gl_task_interrupt_line(gl_host *h, uint64_t line) {
  for (gl_task *t = h->live; t; t = t->next_live) {
    if (t->line != line || t->state == GL_TASK_ENDED) continue;
    if (t->id != line || t->asked_to_stop) gl_task_cancel(t);
    else gl_task_interrupt(t);
    t->asked_to_stop = true;
  }
}

void gl_task_limit_cpu(gl_task *t, double seconds) {
  t->cpu_limit = (float)seconds;
  t->cpu_limit_slices = (uint32_t)(seconds * 1000 / GL_SLICE_MS) + 1;
  t->max_slices = t->slices + t->cpu_limit_slices;
}

void gl_task_renew_cpu(gl_task *t) {
  if (t->max_slices && t->slices <= t->max_slices) t->max_slices = t->slices + t->cpu_limit_slices;
}

/* ---- what a failure says ---- */

/* Pushes the message of what it failed with. Outside of a task, so that nothing in here can wait. */
static void push_message(lua_State *L, gl_task *t) {
  if (!gl_task_push_error(L, t)) lua_pushliteral(L, "not enough memory");
  gl_error_describe(L, -1);
  lua_remove(L, -2);
}

static int log_error(lua_State *L) {
  gl_task *t = lua_touserdata(L, 1);
  size_t n;
  if (gl_task_push_error(L, t) && gl_error_is_departure(L, lua_gettop(L))) return 0;
  push_message(L, t);
  const char *message = lua_tolstring(L, -1, &n);
  gl_log(t->host, GL_LOG_ERROR, lua_touserdata(L, 2), message, n, t->trace);
  return 0;
}

void gl_task_log_error(gl_task *t, const char *what) {
  lua_State *L = t->host->L;
  lua_pushcfunction(L, log_error);
  lua_pushlightuserdata(L, t);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  size_t n;
  const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (why) gl_log(t->host, GL_LOG_ERROR, what, why, n, t->trace);
  else gl_log(t->host, GL_LOG_ERROR, what, "an error whose tostring failed", sizeof "an error whose tostring failed" - 1, t->trace);
  lua_pop(L, 1);
}
