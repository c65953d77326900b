/* SPDX-License-Identifier: MIT */
#include "core/task.h"

#include <stdlib.h>

#include "core/alone.h"
#include "core/base.h"
#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/preempt.h"
#include "core/scope.h"

/* ---- life ---- */

static gl_task *task_new(gl_host *h, void *owner, gl_task_end on_end) {
  gl_task *t = gl_block_calloc(&h->alloc, sizeof *t);
  if (!t) return NULL;
  t->host = h;
  t->id = ++h->task_ids;
  t->owner = owner;
  t->on_end = on_end;
  t->born = (uint32_t)uv_now(&h->loop);
  t->co_ref = t->error_ref = t->kept_ref = t->context_ref = LUA_NOREF;
  t->refs = 1;
  gl_budget_init(t);
  t->next_live = h->live;
  t->at_live = &h->live;
  if (h->live) h->live->at_live = &t->next_live;
  h->live = t;
  h->census.tasks++;
  return t;
}

void gl_task_unlink(gl_task *t) {
  *t->at_live = t->next_live;
  if (t->next_live) t->next_live->at_live = t->at_live;
  t->host->census.tasks--;
  t->host->daemons -= t->daemon;
}

gl_task *gl_task_start(gl_host *h, lua_CFunction main, void *owner, gl_task_end on_end, bool now) {
  gl_task *t = task_new(h, owner, on_end);
  if (!t) return NULL;
  t->main = main;
  if (now) gl_runqueue_add_now(h, t);
  else gl_runqueue_add(h, t);
  return t;
}

/* Makes a task for the function and the arguments on top of L (popped), which is not ready yet. */
static gl_task *task_for(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_host *h = gl_host_of(L);
  gl_task *t = task_new(h, owner, on_end);
  if (!t || !gl_base_acquire(h, t) || !lua_checkstack(t->co, nargs + 1)) {
    if (t) {
      gl_task_unlink(t);
      gl_base_release(t);
      gl_block_free(&h->alloc, t, sizeof *t);
    }
    return NULL;
  }
  lua_xmove(L, t->co, nargs + 1);
  t->nargs = nargs;
  t->refs++;
  return t;
}

gl_task *gl_task_spawn_system(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_task *t = task_for(L, nargs, owner, on_end);
  if (!t) return NULL;
  t->system = true;
  gl_runqueue_add(t->host, t);
  return t;
}

gl_task *gl_task_spawn_daemon(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_task *t = gl_task_spawn_system(L, nargs, owner, on_end);
  if (!t) return NULL;
  t->daemon = true;
  t->host->daemons++;
  return t;
}

gl_task *gl_task_spawn(lua_State *L, int nargs, void *owner, gl_task_end on_end) {
  gl_task *t = task_for(L, nargs, owner, on_end), *parent = gl_host_of(L)->task;
  if (!t) return NULL;
  if (parent) {
    t->deadline = gl_scope_deadline(parent);
    t->line = parent->line;
    t->graced = parent->graced;
    t->background = gl_task_is_background(parent);
    gl_budget_inherit(t, parent);
  }
  gl_runqueue_add(t->host, t);
  return t;
}

static void task_free(gl_task *t) {
  GL_CHECK(t->state == GL_TASK_ENDED);
  gl_base_release(t);
  gl_memory_forget(t->host, t);
  free(t->trace);
  free(t->late_object);
  gl_block_free(&t->host->alloc, t, sizeof *t);
}

void gl_task_unref(gl_task *t) {
  if (--t->refs > 0) return;
  for (;;) {
    gl_task *root = gl_budget_root(t);
    task_free(t);
    if (!root || --root->refs > 0) return;
    t = root;
  }
}

void gl_task_wake(gl_task *t, gl_outcome outcome) {
  if (gl_task_is_foreign(t)) return;
  t->outcome = (uint8_t)outcome;
  if (t->state == GL_TASK_WAITING) gl_runqueue_add(t->host, t);
}

/* ---- what the log says of a failure ---- */

/* Logs the error of the task at index 1 under the name at index 2. On the main state, where nothing can wait: describing an
 * error may call its __tostring. */
static int log_error(lua_State *L) {
  const gl_task *t = lua_touserdata(L, 1);
  size_t n;
  if (!gl_task_push_error(L, t)) lua_pushliteral(L, "not enough memory");
  if (gl_error_is_departure(L, lua_gettop(L))) return 0;
  gl_error_describe(L, -1);
  const char *message = lua_tolstring(L, -1, &n);
  gl_log(t->host, GL_LOG_ERROR, lua_touserdata(L, 2), message, n, t->trace);
  return 0;
}

void gl_task_log_error(gl_task *t, const char *what) {
  static const char failed[] = "an error whose tostring failed";
  lua_State *L = t->host->L;
  gl_alone before = gl_alone_begin(t->host);
  lua_pushcfunction(L, log_error);
  lua_pushlightuserdata(L, t);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  int status = lua_pcall(L, 2, 0, 0);
  gl_alone_end(t->host, before);
  if (status == LUA_OK) return;
  size_t n;
  const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (why) gl_log(t->host, GL_LOG_ERROR, what, why, n, t->trace);
  else gl_log(t->host, GL_LOG_ERROR, what, failed, sizeof failed - 1, t->trace);
  lua_pop(L, 1);
}
