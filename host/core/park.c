/* SPDX-License-Identifier: MIT */
#include "core/park.h"

#include "core/check.h"
#include "core/op.h"
#include "core/stack.h"
#include "core/task.h"

/* Leaves the current stack standing and goes on on `to`; returns when the driver hops back for this task. */
static void leave(gl_host *h, gl_task *t, gl_stack *to) {
  lua_State *running = h->running;
  GL_CHECK(h->task == t && !t->stack);
  h->census.parked++;
  t->stack = h->stack;
  h->task = NULL;
  gl_host_set_running(h, NULL);
  gl_stack_hop(h, to);
  GL_CHECK(h->stack == t->stack);
  h->census.parked--;
  t->stack = NULL;
  h->task = t;
  gl_host_set_running(h, running);
}

void gl_park(gl_host *h, gl_task *t) {
  gl_stack *to = gl_stack_take(h);
  if (!to) {
    t->state = GL_TASK_RUNNING; /* so that detaching does not make it ready: it runs */
    if (t->op) gl_op_detach(t->op, GL_NO_STACK);
    return;
  }
  leave(h, t, to);
}

void gl_pause(gl_host *h, gl_task *t) {
  gl_stack *to = gl_stack_take(h);
  if (!to) return;
  gl_host_ready_last(h, t);
  leave(h, t, to);
}
