/* SPDX-License-Identifier: MIT
 *
 * What happens when a C module calls fork(). The child has one thread, and one task: the one that forked, which goes on with a
 * loop, a watchdog and timers of its own. All else that the parent does stays with the parent: in the child its other tasks never
 * run, nothing is waited for that the parent waits for, its servers do not listen, and signals have their defaults; the
 * socket files of the parent stay.
 *
 *     in_child, before fork returns   the child gets a new epoll instance (the old one is shared: the parent would not hear of
 *                                     what the child removes there), empty queues, an empty heap of timers, and one task
 *     poll_loop, before it waits      the child gets a watchdog; a child that execs before starts no thread in vain
 *
 * It ends when its task ends, or by os.exit; never with lua_close, which would say goodbye to the parent's peers. Text that
 * was buffered before the fork is written by both, as with stdio; text that the parent was writing, by the parent. What is
 * started with clone, as children of ours are (process/spawn.h), is none of this.
 *
 * What the parent has in common with the child is not ended by it: a close in the child says nothing to the other side of a
 * connection (net/stream.h), removes no file (fs/cleanup.h), rolls no transaction back (db/sqlite/job.h).
 *
 * The child writes to nothing that the parent has many of, since each write copies a page: a task is known to be the parent's
 * by its id, a timer not to be armed by its place in the heap, a turn hook not to be queued by the number of the process.
 */
#ifndef GL_CORE_FORK_H
#define GL_CORE_FORK_H

#include "core/host.h"

/* A member of whoever owns kernel objects, or bytes, that a child must not share. */
struct gl_fork_hook {
  void (*forked)(struct gl_fork_hook *hook); /* in the child, at once. Calls no Lua */
  void (*leave)(struct gl_fork_hook *hook);  /* in the child, when it ends. Calls no Lua */
  struct gl_fork_hook *next;                 /* in host->fork_hooks */
};

/* Makes `h` ready for a fork on the calling thread. Call when the loop of `h` is there. */
void gl_fork_begin(gl_host *h);

/* Undoes gl_fork_begin; call before the host is closed. */
void gl_fork_end(gl_host *h);

void gl_fork_add(gl_host *h, struct gl_fork_hook *hook);
void gl_fork_remove(gl_host *h, struct gl_fork_hook *hook);

/* Ends a forked child: calls the `leave` of all hooks, runs the exit handlers, and exits. */
_Noreturn void gl_fork_leave(gl_host *h, int code);

#endif
