/* SPDX-License-Identifier: MIT
 *
 * How much memory a host may use (--max-memory), and who is refused when it runs out. Counted is what core/alloc hands
 * out: everything Lua allocates, tasks and ops; and the bytes that C holds for scripts and peers (gl_memory_resize, and so
 * every gl_buf): bodies, what is to be written, what was read ahead, messages, rows; and what SQLite and OpenSSL allocate
 * (gl_memory_resize_for_library). Not counted are the stacks of parked tasks, connections themselves, the lists of addresses
 * that the C library's resolver returns (some hundred bytes each, until a task takes them), and whatever a script's own
 * C modules allocate.
 *
 * Lua, when it is refused memory, collects all garbage, asks again, and then raises "not enough memory" in the task that asked.
 * With one mark only, a task that fills the memory bit by bit would be refused, and so would any other task that happened to
 * ask beside it. So there are three marks, below or at the limit:
 *
 *     7/8    a task that has asked for more than 1/16 of the limit lately (older requests count half for each `limit`
 *            bytes that were allocated since); bytes that no running task asks for: a peer sends them, or a job on the
 *            thread pool reads them
 *     15/16  any other task
 *     16/16  the host: its own objects, and Lua while no task runs (a new coroutine, a record in the log); what Lua cannot
 *            go on without (GL_FOR_LUA); a buffer of a few bytes, such as the 503 that says that memory is out
 *
 * The host does not depend on the last 1/16: whatever it calls of Lua outside of a protected call allocates nothing.
 *
 * C code that is refused memory ends its op with UV_ENOMEM, and the waiting task raises "not enough memory"; where no task waits,
 * the connection is answered 503, or closed. Before a buffer is refused, garbage is collected as Lua does in need: without
 * finalizers, so that no Lua code runs, even in a callback of the loop. Other threads cannot collect.
 */
#ifndef GL_CORE_MEMORY_H
#define GL_CORE_MEMORY_H

#include "core/block.h"
#include "core/host.h"

/* Limits the host to so many bytes from now on; 0 = no limit. */
void gl_memory_limit(gl_host *h, size_t bytes);

/* Charges what is allocated from here on to the account of `t`. Called for each step, when there is a limit. */
void gl_memory_charge(gl_host *h, gl_task *t);

/* Is so little left that a task that asks for much is refused? The start of a task is then put off by one batch. Otherwise the
 * tasks that a hoarder spawned until memory ran out would run before the hoarder itself is refused, and would fail one by
 * one, each after a full collection. */
bool gl_memory_is_scarce(const gl_host *h);

/* Closes the account of a task that is about to be freed. */
void gl_memory_forget(gl_host *h, const gl_task *t);

/* May `more` bytes be allocated in the name of the running task, or of the host when none runs? Collects garbage if that may
 * help. On the loop's thread. */
bool gl_memory_admits(gl_host *h, size_t more);

/* Collects garbage when little memory is left. Call before a job that may need much goes to another thread. */
void gl_memory_relieve(gl_host *h);

/* Raises what Lua raises when memory is out. Never returns. */
int gl_memory_raise(lua_State *L);

/* Makes this thread work for `h` from here on; NULL = for no host. `pooled`: as a thread of its pool, not as the loop's. */
void gl_memory_serve(gl_host *h, bool pooled);

/* Sets the bytes in use from which on gl_alloc asks for admission. Call after the limit or the faults (core/fault.h) changed. */
void gl_memory_set_edge(gl_host *h);

#endif
