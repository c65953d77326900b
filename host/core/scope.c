/* SPDX-License-Identifier: MIT */
#include "core/scope.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/check.h"
#include "core/error.h"
#include "core/hook.h"
#include "core/task.h"

#define FIRST_BUCKETS 16

void gl_scope_enter(lua_State *L, gl_scope *s, double seconds, bool shield) {
  gl_task *t = gl_host_of(L)->task;
  s->outer = t->scope;
  s->co = L;
  s->task = t;
  s->deadline = seconds < GL_FOREVER ? gl_clock_after(uv_hrtime(), seconds) : 0;
  s->shield = shield;
  s->cancelled = s->atomic = s->background = false;
  t->scope = s;
}

void gl_scope_enter_atomic(lua_State *L, gl_scope *s) {
  gl_scope_enter(L, s, GL_FOREVER, false);
  s->atomic = true;
  s->task->atomic++;
}

void gl_scope_enter_background(lua_State *L, gl_scope *s) {
  gl_scope_enter(L, s, GL_FOREVER, false);
  s->background = true;
  s->task->background++;
}

bool gl_scope_holds(const gl_task *t, const lua_State *co) {
  if (!t->atomic) return false;
  for (const gl_scope *s = t->scope; s && s->co == co; s = s->outer)
    if (s->atomic) return true;
  return false;
}

/* Makes a scope, which is off its task's list already, bind the task no more. */
static void unbind(gl_scope *s) {
  gl_task *t = s->task;
  s->task = NULL;
  if (s->background) t->background--;
  if (!s->atomic || --t->atomic > 0) return;
  t->overlong = false;
  if (t->host->atomic_section_left) t->host->atomic_section_left(t);
}

/* ---- scopes of suspended coroutines ---- */

static gl_scope **bucket_of(gl_suspended_scopes *a, const lua_State *co) {
  if (!a->bucket) return &a->first;
  uint64_t hash = (uint64_t)(uintptr_t)co * 0x9e3779b97f4a7c15u;
  return &a->bucket[(hash >> 32) & a->mask];
}

/* Doubles the buckets. When there is no memory for them, the lists grow instead. */
static void double_buckets(gl_suspended_scopes *a) {
  gl_suspended_scopes old = *a;
  size_t buckets = a->bucket ? (a->mask + 1) * 2 : FIRST_BUCKETS;
  gl_scope **to = calloc(buckets, sizeof *to);
  if (!to) return;
  a->bucket = to;
  a->mask = buckets - 1;
  for (size_t i = 0; i <= old.mask; i++) {
    for (gl_scope *s = old.bucket ? old.bucket[i] : old.first, *next; s; s = next) {
      next = s->outer;
      gl_scope **end = bucket_of(a, s->co);
      while (*end) end = &(*end)->outer;
      s->outer = NULL;
      *end = s;
    }
  }
  free(old.bucket);
}

static void add_suspended(gl_suspended_scopes *a, gl_scope *s) {
  if (a->n > a->mask) double_buckets(a);
  a->n++;
  gl_scope **at = bucket_of(a, s->co);
  s->outer = *at;
  *at = s;
  *gl_extra(s->co) |= GL_SUSPENDED_BIT;
}

/* Removes the scope that `at` points to. */
static void remove_suspended(gl_suspended_scopes *a, gl_scope **at) {
  *at = (*at)->outer;
  if (--a->n > 0) return;
  free(a->bucket);
  *a = (gl_suspended_scopes){0};
}

/* ---- leaving, suspending, resuming ---- */

void gl_scope_leave(gl_host *h, gl_scope *s) {
  if (!s->co) return;
  gl_scope **at = s->task ? &s->task->scope : bucket_of(&h->suspended_scopes, s->co); /* usually it is the first */
  while (*at && *at != s) at = &(*at)->outer;
  GL_CHECK(*at);
  if (s->task) *at = s->outer;
  else remove_suspended(&h->suspended_scopes, at);
  if (s->task) gl_scope_retract_end(s->task);
  if (s->task) unbind(s);
  s->co = NULL;
}

/* The innermost scope of the running task, if `co` has entered it; NULL: `co`, which has just run, is in no scope. */
static gl_scope *innermost_of(gl_host *h, lua_State *co) {
  gl_scope *s = h->task->scope;
  return s && s->co == co ? s : NULL;
}

void gl_scope_suspend(gl_host *h, lua_State *co) {
  for (gl_scope *s; (s = innermost_of(h, co)) != NULL;) { /* the outermost one is put last, and so comes first in its bucket */
    h->task->scope = s->outer;
    unbind(s);
    add_suspended(&h->suspended_scopes, s);
  }
}

void gl_scope_resume(gl_host *h, lua_State *co) {
  *gl_extra(co) &= ~GL_SUSPENDED_BIT;
  gl_scope *next;
  for (gl_scope **at = bucket_of(&h->suspended_scopes, co), *s = *at; s; s = next) {
    next = s->outer;
    if (s->co != co) {
      at = &s->outer;
      continue;
    }
    remove_suspended(&h->suspended_scopes, at); /* after the last one this frees the buckets, `at` among them */
    s->task = h->task;
    if (s->atomic) h->task->atomic++;
    if (s->background) h->task->background++;
    s->outer = h->task->scope;
    h->task->scope = s;
  }
}

void gl_scope_abandon(gl_host *h, lua_State *co) {
  for (gl_scope *s; (s = innermost_of(h, co)) != NULL;) gl_scope_leave(h, s);
}

/* ---- asking ---- */

static bool has_passed(uint64_t deadline) { return deadline && uv_hrtime() >= deadline; }

gl_outcome gl_scope_check(const gl_task *t) {
  for (const gl_scope *s = t->scope; s; s = s->outer) {
    if (s->cancelled) return GL_CANCELLED;
    if (has_passed(s->deadline)) return GL_DEADLINE_EXCEEDED;
    if (s->shield) return GL_DONE;
  }
  if (t->cancelled) return GL_CANCELLED;
  if (t->exhausted) return GL_EXHAUSTED;
  if (t->interrupted) return GL_INTERRUPTED;
  return has_passed(t->deadline) ? GL_DEADLINE_EXCEEDED : GL_DONE;
}

bool gl_scope_shields(const gl_task *t) {
  for (const gl_scope *s = t->scope; s; s = s->outer)
    if (s->shield) return true;
  return false;
}

uint64_t gl_scope_deadline(const gl_task *t) {
  uint64_t nearest = 0;
  for (const gl_scope *s = t->scope; s; s = s->outer) {
    if (s->deadline && (!nearest || s->deadline < nearest)) nearest = s->deadline;
    if (s->shield) return nearest;
  }
  if (t->deadline && (!nearest || t->deadline < nearest)) nearest = t->deadline;
  return nearest;
}

/* ---- raising ---- */

int gl_scope_interrupt(lua_State *L, gl_task *t) {
  t->interrupted = false;
  t->interruptions++;
  t->interrupting = L != t->co;
  return luaL_error(L, "interrupted!");
}

void gl_scope_tear(gl_task *t) {
  gl_host *h = t->host;
  if (t->exchange && h->on_torn && h->task == t) h->on_torn(h, t);
}

int gl_scope_raise_exhausted(lua_State *L, gl_task *t, const char *op) {
  const gl_budget *b = gl_budget_exhausted(t);
  gl_scope_tear(t);
  char limit[16]; /* lua_pushfstring would write 14 digits of it */
  gl_scope_request_end(t);
  if (b->exhausted == GL_OUT_OF_TASKS) return gl_error_raise(L, op, "ETASKLIMIT", "more than %d tasks at once, which is the limit", (int)b->max_tasks);
  snprintf(limit, sizeof limit, "%g", (double)b->cpu_limit);
  return gl_error_raise(L, op, "ECPULIMIT", "the task used more CPU than its limit of %s s", limit);
}

void gl_scope_raise(lua_State *L, gl_task *t, const char *op) {
  gl_outcome why = gl_scope_check(t);
  if (why == GL_CANCELLED || why == GL_DEADLINE_EXCEEDED) gl_scope_request_end(t);
  if (why == GL_EXHAUSTED) gl_scope_raise_exhausted(L, t, op);
  if (why != GL_DONE) gl_scope_tear(t);
  else if (t->exhausted && gl_scope_is_overdue(t) && t->host->watchdog) gl_hook_take_over(L);
  switch (why) {
    case GL_CANCELLED: gl_error_raise(L, op, "ECANCELED", "the task was cancelled"); break;
    case GL_INTERRUPTED: gl_scope_interrupt(L, t); break;
    case GL_DEADLINE_EXCEEDED: gl_error_raise(L, op, "EDEADLINE", "the deadline passed"); break;
    default: break;
  }
}

/* ---- the end of a task that was told to end ---- */

bool gl_scope_must_end(const gl_task *t) {
  return gl_scope_check(t) != GL_DONE || t->exhausted;
}

bool gl_scope_is_overdue(const gl_task *t) {
  const gl_budget *b = gl_budget_exhausted(t);
  return b && !b->cleanup_us;
}

void gl_scope_grant_cleanup(gl_task *t) {
  if (t->host->task == t) gl_budget_charge(t->host, t); /* what it has run before is not of that time */
  const gl_budget *b = gl_budget_exhausted(t);
  t->cleanup_us = b ? b->cleanup_us : GL_CLEANUP_US;
  t->closing_us = t->closing_least = b ? b->closing_us : GL_CLEANUP_US;
  if (b) t->closing_least /= 2; /* what is closed does not depend on the little time that others may have left */
}

void gl_scope_request_end(gl_task *t) {
  t->interruptions++;
  if (t->end_requested) return;
  t->end_requested = true;
  gl_scope_grant_cleanup(t);
}

void gl_scope_retract_end(gl_task *t) {
  if ((!t->end_requested && !t->kill_count) || gl_scope_must_end(t) || gl_scope_shields(t)) return;
  t->end_requested = false;
  t->cleanup_us = 0;
  t->kill_count = 0;
}
