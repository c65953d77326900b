/* SPDX-License-Identifier: MIT */
#include "core/cancel.h"

#include "core/op.h"
#include "core/task.h"

/* Detaches a task that waits from its op, when `why` is what reaches the task first. */
static void end_wait(gl_task *t, gl_outcome why) {
  if (t->op && !t->op->done && t->state == GL_TASK_WAITING && gl_scope_check(t) == why) gl_op_detach(t->op, why);
}

void gl_task_cancel(gl_task *t) {
  if (t->state == GL_TASK_ENDED || gl_task_is_foreign(t)) return;
  t->cancelled = true;
  end_wait(t, GL_CANCELLED);
}

void gl_task_cancel_all(gl_host *h) {
  for (gl_task *t = h->live; t; t = t->next_live)
    if (!t->system) gl_task_cancel(t);
}

void gl_task_cancel_daemons(gl_host *h) {
  for (gl_task *t = h->live; t; t = t->next_live)
    if (t->daemon) gl_task_cancel(t);
}

void gl_task_end_exhausted(gl_host *h) {
  h->exhausted = false;
  for (gl_task *t = h->live; t; t = t->next_live) {
    if (!gl_budget_exhausted(t) || gl_task_is_foreign(t)) continue;
    t->exhausted = true;
    end_wait(t, GL_EXHAUSTED);
  }
}

void gl_task_interrupt(gl_task *t) {
  if (t->state == GL_TASK_ENDED) return;
  t->interrupted = true;
  end_wait(t, GL_INTERRUPTED);
}

void gl_task_interrupt_line(gl_host *h, uint64_t line) {
  for (gl_task *t = h->live; t; t = t->next_live) {
    if (t->line != line || t->state == GL_TASK_ENDED) continue;
    if (t->id != line || t->line_interrupted) gl_task_cancel(t);
    else gl_task_interrupt(t);
    t->line_interrupted = true;
  }
}

void gl_scope_cancel(gl_scope *s) {
  if (!s->co || s->shield || (s->task && gl_task_is_foreign(s->task))) return;
  s->cancelled = true;
  if (s->task) end_wait(s->task, GL_CANCELLED);
}
