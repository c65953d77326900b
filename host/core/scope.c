/* SPDX-License-Identifier: MIT */
#include "core/scope.h"

#include <stdlib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/preempt.h"

void gl_scope_enter(lua_State *L, gl_scope *s, double seconds, bool shield) {
  gl_task *t = gl_host_of(L)->task;
  s->outer = t->scope;
  s->co = L;
  s->task = t;
  s->deadline = seconds < GL_FOREVER ? gl_clock_after(uv_hrtime(), seconds) : 0;
  s->shield = shield;
  s->cancelled = s->atomic = false;
  t->scope = s;
}

void gl_scope_enter_atomic(lua_State *L, gl_scope *s) {
  gl_scope_enter(L, s, GL_FOREVER, false);
  s->atomic = true;
  s->task->atomic++;
}

bool gl_scope_holds(const gl_task *t, const lua_State *co) {
  if (!t->atomic) return false;
  for (const gl_scope *s = t->scope; s && s->co == co; s = s->outer)
    if (s->atomic) return true;
  return false;
}

/* The task is not in this scope any more, for now or for good. */
static void detach(gl_scope *s) {
  gl_task *t = s->task;
  s->task = NULL;
  if (s->atomic && --t->atomic == 0) gl_preempt_resume(t);
}

/* ---- those of suspended coroutines ---- */

static gl_scope **bucket_of(gl_aside *a, const lua_State *co) {
  if (!a->bucket) return &a->first;
  uint64_t hash = (uint64_t)(uintptr_t)co * 0x9e3779b97f4a7c15u;
  return &a->bucket[(hash >> 32) & a->mask];
}

/* Twice as many buckets. Without memory for them, the lists grow. */
static void spread(gl_aside *a) {
  gl_aside old = *a;
  size_t buckets = a->bucket ? (a->mask + 1) * 2 : 16;
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

static void put_aside(gl_aside *a, gl_scope *s) {
  if (a->n > a->mask) spread(a);
  a->n++;
  gl_scope **at = bucket_of(a, s->co);
  s->outer = *at;
  *at = s;
  *gl_extra(s->co) |= GL_ASIDE_BIT;
}

static void take_back(gl_aside *a, gl_scope **at) {
  *at = (*at)->outer;
  if (--a->n > 0) return;
  free(a->bucket);
  *a = (gl_aside){0};
}

/* ---- leaving, for good or for a while ---- */

void gl_scope_leave(gl_host *h, gl_scope *s) {
  if (!s->co) return;
  gl_scope **at = s->task ? &s->task->scope : bucket_of(&h->aside, s->co); /* usually the innermost */
  while (*at && *at != s) at = &(*at)->outer;
  if (*at && s->task) *at = s->outer;
  else if (*at) take_back(&h->aside, at);
  if (s->task) gl_preempt_retract_end(s->task);
  if (s->task) detach(s);
  s->co = NULL;
}

/* The scopes a coroutine entered since it was resumed are the innermost ones. */
static gl_scope *innermost_of(gl_host *h, lua_State *co) {
  gl_scope *s = h->task->scope;
  return s && s->co == co ? s : NULL;
}

void gl_scope_suspend(gl_host *h, lua_State *co) {
  for (gl_scope *s; (s = innermost_of(h, co)) != NULL;) { /* ends with its outermost first in the list */
    h->task->scope = s->outer;
    detach(s);
    put_aside(&h->aside, s);
  }
}

void gl_scope_resume(gl_host *h, lua_State *co) {
  *gl_extra(co) &= ~GL_ASIDE_BIT;
  gl_scope *next;
  for (gl_scope **at = bucket_of(&h->aside, co), *s = *at; s; s = next) {
    next = s->outer;
    if (s->co != co) {
      at = &s->outer;
      continue;
    }
    take_back(&h->aside, at); /* of the last one, the bucket itself */
    s->task = h->task;
    if (s->atomic) h->task->atomic++;
    s->outer = h->task->scope;
    h->task->scope = s;
  }
}

void gl_scope_abandon(gl_host *h, lua_State *co) {
  for (gl_scope *s; (s = innermost_of(h, co)) != NULL;) gl_scope_leave(h, s);
}

void gl_scope_cancel(gl_scope *s) {
  gl_task *t = s->task;
  if (!s->co || s->shield || (t && gl_task_is_foreign(t))) return;
  s->cancelled = true;
  if (t && t->state == GL_TASK_WAITING && t->op && !t->op->done && gl_scope_check(t) == GL_CANCELLED) gl_op_detach(t->op, GL_CANCELLED);
}

static bool passed(uint64_t deadline) { return deadline && uv_hrtime() >= deadline; }

gl_outcome gl_scope_check(const gl_task *t) {
  for (const gl_scope *s = t->scope; s; s = s->outer) {
    if (s->cancelled) return GL_CANCELLED;
    if (passed(s->deadline)) return GL_DEADLINE_EXCEEDED;
    if (s->shield) return GL_DONE;
  }
  if (t->cancelled) return GL_CANCELLED;
  if (t->interrupted) return GL_INTERRUPTED;
  return passed(t->deadline) ? GL_DEADLINE_EXCEEDED : GL_DONE;
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

int gl_scope_interrupt(lua_State *L, gl_task *t) {
  t->interrupted = false;
  t->interrupting = L != t->co;
  return luaL_error(L, "interrupted!");
}

void gl_scope_raise(lua_State *L, gl_task *t, const char *op) {
  gl_outcome why = gl_scope_check(t);
  if (why == GL_CANCELLED || why == GL_DEADLINE_EXCEEDED) gl_preempt_request_end(t);
  switch (why) {
    case GL_CANCELLED: gl_error_raise(L, op, "ECANCELED", "the task was cancelled"); break;
    case GL_INTERRUPTED: gl_scope_interrupt(L, t); break;
    case GL_DEADLINE_EXCEEDED: gl_error_raise(L, op, "EDEADLINE", "the deadline passed"); break;
    default: break;
  }
}
