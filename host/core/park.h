/* SPDX-License-Identifier: MIT
 *
 * How a task waits where Lua cannot yield: in a sort comparator, a metamethod, a module being required. The task leaves
 * the C stack it stands on as it is, with the frames of Lua and of C on it, and the driver goes on on another stack. The
 * driver comes back to the parked stack when the task is woken, and the task goes on as if the call had just returned.
 *
 *     stack A (home)                                  stack B (idle before, or new)
 *     ------------------------------------------------------------------------------------------------
 *     gl_host_drive
 *       gl_task_step(t) -> lua_resume -> sort
 *         -> comparator -> gl_await -> gl_park
 *           gl_stack_take, leave, gl_stack_hop ------> gl_host_drive: the rest of the same batch,
 *                                                      the end of the turn, uv_run, further turns
 *                                                        on_timeout -> gl_op_done -> gl_task_wake(t)
 *           leave returns in t <--------------------   gl_task_step(t): t has a stack, gl_stack_hop_idle
 *         gl_await concludes, sort goes on             (B is idle now: its driver continues here when
 *       lua_resume returns, on the driver of A          somebody else parks, or has its stack back)
 *
 * Invariants: a parked task has `stack` set, is not h->task, and its coroutine is not h->running; gl_stack_hop returns
 * with the task that left being the running one again; at any time all stacks but the current one are either parked (a
 * task's) or idle (a driver's).
 */
#ifndef GL_CORE_PARK_H
#define GL_CORE_PARK_H

#include "core/host.h"

/* Suspends the running task, whose await has begun (state WAITING), until it is woken; t->outcome then says why.
 * When no stack can be had it detaches the task from its op and returns at once, with GL_NO_STACK. */
void gl_park(gl_host *h, gl_task *t);

/* Lets the other ready tasks run before the running one, which comes back in a later batch. Returns at once when no
 * stack can be had. */
void gl_pause(gl_host *h, gl_task *t);

#endif
