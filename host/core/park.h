/* SPDX-License-Identifier: MIT
 *
 * How a task waits where Lua cannot yield: in a sort comparator, a metamethod, a module being required. The task leaves
 * the C stack it stands on as it is, with the frames of Lua and of C on it, and the driver goes on on another stack. When the
 * task is woken, the driver hops back to the parked stack, and the task goes on as if gl_park had just returned. Time goes
 * downwards:
 *
 *     stack A (home)                                  stack B (idle before, or new)
 *     ------------------------------------------------------------------------------------------------
 *     drive
 *       gl_task_step(t) -> lua_resume -> sort
 *         -> comparator -> gl_await -> gl_park
 *           gl_stack_take, leave_stack: gl_stack_hop --> drive (host->drive): the rest of the same batch,
 *                                                        the end of the turn, uv_run, further turns
 *                                                          on_stat -> gl_op_done -> gl_task_wake(t)
 *           leave_stack returns <---------------------   gl_task_step(t): t->stack is A: gl_stack_hop_idle
 *         gl_await concludes the wait, sort goes on      (B is idle: its gl_task_step returns, and its driver
 *       lua_resume returns in gl_task_step on A           goes on, when a task parks and takes B)
 *
 * Invariants:
 *  1. A parked task has `stack` set, is not h->task, and no coroutine of it is h->running.
 *  2. When gl_stack_hop returns in leave_stack, the driver has made the task h->task again.
 *  3. Every stack but h->stack is either parked (some task's `stack`) or idle (on h->idle, with a driver on top).
 *  4. Whatever a turn needs is in the host, so that the turn goes on where another stack has left it.
 */
#ifndef GL_CORE_PARK_H
#define GL_CORE_PARK_H

#include "core/host.h"

/* Suspends the running task, whose await has begun (state WAITING), until it is woken; t->outcome then says why. False: no
 * stack is to be had, and nothing has happened. */
bool gl_park(gl_host *h, gl_task *t);

/* Lets the other ready tasks run before the running one, which `add` makes ready: gl_runqueue_add_preempted or
 * gl_runqueue_add_switched. Returns at once when no stack is to be had. */
void gl_pause(gl_host *h, gl_task *t, void (*add)(gl_host *h, gl_task *t));

#endif
