/* SPDX-License-Identifier: MIT
 *
 * How much memory a host may use (--max-memory), and who is told no when it runs out. Counted is what core/alloc hands
 * out: everything Lua allocates, tasks and ops; not the buffers and stacks of C, which have limits of their own.
 *
 * Lua, told no, collects all garbage, asks again, and then raises "not enough memory" in the task that asked. Were
 * there only one mark, a task that fills the memory bit by bit would be told no, and so would whoever happened to ask
 * beside it. So there are three, below the limit:
 *
 *     7/8    for a task that asked for much lately: more than 1/16 of the limit, of the last so many bytes asked for
 *     15/16  for any other task
 *     all    for the host: its own objects, and Lua while no task runs (a new coroutine, a record in the log);
 *            and for the frames that Lua goes on with (core/alloc.c)
 *
 * The host does not depend on the last 1/16: whatever it calls of Lua outside of a protected call allocates nothing.
 */
#ifndef GL_CORE_MEMORY_H
#define GL_CORE_MEMORY_H

#include "core/host.h"

/* Limits the host to so many bytes from now on; 0 = no limit. */
void gl_memory_limit(gl_host *h, size_t bytes);

/* What is asked for from here on is the task's. For each step, when there is a limit. */
void gl_memory_charge(gl_host *h, gl_task *t);

/* So little is left that a task that asks for much is told no. What begins now should begin one batch later: what one
 * task spawned until memory ran out would else come before the task itself is told no, and fail one by one, each after
 * a full collection. */
bool gl_memory_is_scarce(const gl_host *h);

/* The task is about to be freed. */
void gl_memory_forget(gl_host *h, const gl_task *t);

/* Sets the edge from which on gl_alloc asks: after the limit or the faults (core/fault.h) changed. */
void gl_memory_watch(gl_host *h);

#endif
