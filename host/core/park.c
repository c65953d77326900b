/* SPDX-License-Identifier: MIT */
#include "core/park.h"

#include "core/back.h"
#include "core/check.h"
#include "core/stack.h"
#include "core/task.h"

/* Leaves the current stack standing and goes on on `to`; returns when the driver hops back for this task. */
static void leave_stack(gl_host *h, gl_task *t, gl_stack *to) {
  lua_State *running = h->running;
  GL_CHECK(h->task == t && !t->stack && t->state != GL_TASK_RUNNING);
  void *left = h->on_leave ? h->on_leave(h, t) : NULL;
  gl_budget_charge(h, t);
  h->census.parked++;
  t->stack = h->stack;
  h->task = NULL;
  gl_host_set_running(h, NULL);
  gl_stack_hop(h, to);
  GL_CHECK(h->task == t && h->stack == t->stack && t->state == GL_TASK_RUNNING);
  h->census.parked--;
  t->stack = NULL;
  gl_host_set_running(h, running);
  if (left) h->on_return(h, t, left);
  if (t->cut_short) gl_back_arm(h);
}

bool gl_park(gl_host *h, gl_task *t) {
  gl_stack *to = gl_stack_take(h);
  if (to) leave_stack(h, t, to);
  return to != NULL;
}

void gl_pause(gl_host *h, gl_task *t, void (*add)(gl_host *h, gl_task *t)) {
  gl_stack *to = gl_stack_take(h);
  if (!to) return;
  add(h, t);
  leave_stack(h, t, to);
}
