/* SPDX-License-Identifier: MIT
 *
 * The driver: the loop that resumes tasks, as the bottom frame of every C stack.
 *
 *     run the batch of ready tasks -> end the turn -> uv_run once -> fire timers -> take the next batch
 *      (gl_task_step)                (gl_host_end_turn)  (poll_loop)                  (gl_runqueue_take_batch)
 *
 * Tasks are resumed here and nowhere else, and always outside uv_run. The driver may hop to another C stack in the middle of
 * gl_task_step (core/park.h): the same turn then goes on there, as all that a turn needs is in the host.
 */
#ifndef GL_CORE_DRIVER_H
#define GL_CORE_DRIVER_H

#include "core/host.h"

/* Makes a host with its loop and its Lua state, in which no library is opened yet. NULL: out of memory or descriptors. */
gl_host *gl_host_new(void);

/* Runs until no task is left and nothing holds the host. Call from outside any task, on the thread that made the host. A
 * forked child does not return from here: it exits. */
void gl_host_run(gl_host *h);

/* Closes the Lua state and the loop. No task may be parked. */
void gl_host_close(gl_host *h);

#endif
