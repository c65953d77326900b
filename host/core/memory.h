/* SPDX-License-Identifier: MIT
 *
 * How much memory a host may use (--max-memory), and who is told no when it runs out. Counted is what core/alloc hands
 * out: everything Lua allocates, tasks and ops; and the bytes that C holds for scripts and peers (gl_memory_resize, and so
 * every gl_buf): bodies, what is to be written, what was read ahead, messages, rows; and what SQLite and OpenSSL allocate
 * (gl_memory_resize_for_library). Not counted are the stacks of parked tasks, connections themselves, the lists of addresses
 * that the C library's resolver returns (some hundred bytes each, until a task takes them), libcurl, and whatever a script's own
 * C modules allocate.
 *
 * Lua, told no, collects all garbage, asks again, and then raises "not enough memory" in the task that asked. Were
 * there only one mark, a task that fills the memory bit by bit would be told no, and so would whoever happened to ask
 * beside it. So there are three, below the limit:
 *
 *     7/8    for a task that asked for much lately: more than 1/16 of the limit, of the last so many bytes asked for;
 *            and for bytes that nobody who runs asks for: they come from a peer, or a job on the thread pool reads them
 *     15/16  for any other task
 *     all    for the host: its own objects, and Lua while no task runs (a new coroutine, a record in the log);
 *            for the frames that Lua goes on with (core/alloc.c); and for a buffer of a few bytes, such as an answer
 *            that says no
 *
 * The host does not depend on the last 1/16: whatever it calls of Lua outside of a protected call allocates nothing.
 *
 * C that is told no says UV_ENOMEM to whoever waits, who raises "not enough memory"; where nobody waits, the connection is
 * answered 503, or ends. Before that, garbage is collected for buffers, too, as Lua does it in need: without finalizers, so
 * that no Lua code runs, even in a callback of the loop. Not on other threads.
 */
#ifndef GL_CORE_MEMORY_H
#define GL_CORE_MEMORY_H

#include "core/block.h"
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

/* May so many bytes more be had, by whoever runs now? Collects garbage if that may help. On the loop's thread. */
bool gl_memory_admits(gl_host *h, size_t more);

/* A job that may need much is about to go to another thread, which cannot collect: collects what is there, when little is left. */
void gl_memory_relieve(gl_host *h);

/* Raises what Lua raises when it is told no. Never returns. */
int gl_memory_raise(lua_State *L);

/* This thread works for `h` from here on; NULL: for nobody. `pooled`: as one of its pool, not as its loop's. */
void gl_memory_serve(gl_host *h, bool pooled);

/* Sets the edge from which on gl_alloc asks: after the limit or the faults (core/fault.h) changed. */
void gl_memory_set_edge(gl_host *h);

#endif
