/* SPDX-License-Identifier: MIT */
#include "core/scope.h"

#include "core/error.h"
#include "core/op.h"

void gl_scope_enter(gl_task *t, gl_scope *s, double seconds, bool shield) {
  s->outer = t->scope;
  s->task = t;
  s->deadline = seconds < GL_FOREVER ? gl_clock_after(uv_hrtime(), seconds) : 0;
  s->shield = shield;
  s->cancelled = false;
  t->scope = s;
}

void gl_scope_leave(gl_scope *s) {
  if (!s->task) return;
  gl_scope **at = &s->task->scope; /* usually the innermost; a coroutine may have left its own behind */
  while (*at && *at != s) at = &(*at)->outer;
  if (*at) *at = s->outer;
  s->task = NULL;
}

void gl_scope_cancel(gl_scope *s) {
  gl_task *t = s->task;
  if (!t) return;
  s->cancelled = true;
  if (t->state == GL_TASK_WAITING && t->op && !t->op->done && gl_scope_check(t) == GL_CANCELLED) gl_op_detach(t->op, GL_CANCELLED);
}

static bool passed(uint64_t deadline) { return deadline && uv_hrtime() >= deadline; }

gl_outcome gl_scope_check(const gl_task *t) {
  for (const gl_scope *s = t->scope; s; s = s->outer) {
    if (s->cancelled) return GL_CANCELLED;
    if (passed(s->deadline)) return GL_OVERDUE;
    if (s->shield) return GL_DONE;
  }
  if (t->cancelled) return GL_CANCELLED;
  return passed(t->deadline) ? GL_OVERDUE : GL_DONE;
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

void gl_scope_raise(lua_State *L, const gl_task *t, const char *op) {
  switch (gl_scope_check(t)) {
    case GL_CANCELLED: gl_error_raise(L, op, "ECANCELED", "the task was cancelled"); break;
    case GL_OVERDUE: gl_error_raise(L, op, "EDEADLINE", "the deadline passed"); break;
    default: break;
  }
}
