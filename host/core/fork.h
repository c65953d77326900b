/* SPDX-License-Identifier: MIT
 *
 * What happens when a C module calls fork(). The child has one thread, and one task: the one that forked, which goes on with a
 * loop, a watchdog and timers of its own. All else that the parent does stays with the parent: in the child the parent's other
 * tasks never run, its waits do not end, its servers do not listen, and signals have their defaults; the parent's socket files stay.
 *
 *     in_child, before fork returns   the child gets a new epoll instance (the old one is shared: what the child removed there
 *                                     would be removed for the parent), empty queues, an empty heap of timers, and one task
 *     poll_loop, before it waits      the child gets a watchdog; a child that execs before starts no thread in vain
 *
 * The child ends when its task ends, or by os.exit; never with lua_close, which would say goodbye to the parent's peers. Both write
 * text that was buffered before the fork, as with stdio; the parent alone writes text that it was writing. None of this holds for
 * processes that are started with clone, as process/spawn.h does.
 *
 * The child ends nothing that the parent has, too: a close in the child says nothing to the other side of a connection
 * (net/stream.h), removes no file (fs/cleanup.h), rolls no transaction back (db/sqlite/job.h).
 *
 * The child writes to nothing that the parent has many of, since each write copies a page: a task is known to be the parent's
 * by its id, a timer not to be armed by its place in the heap, a turn hook not to be queued by the number of the process.
 */
#ifndef GL_CORE_FORK_H
#define GL_CORE_FORK_H

#include "core/host.h"

/* A member of a struct that owns kernel objects, or bytes, which a child must not share. */
struct gl_fork_hook {
  void (*forked)(struct gl_fork_hook *hook); /* called in the child, before fork returns; calls no Lua */
  void (*leave)(struct gl_fork_hook *hook);  /* called in the child, when it ends; calls no Lua. NULL: nothing to do */
  struct gl_fork_hook *next;                 /* in host->fork_hooks */
};

/* Makes `h` ready for a fork on the calling thread. Call after the loop of `h` was made. */
void gl_fork_begin(gl_host *h);

/* Undoes gl_fork_begin; call before the host is closed. */
void gl_fork_end(gl_host *h);

/* Adds or removes a hook, whose memory is the caller's. To remove a hook that was not added does no harm. */
void gl_fork_add(gl_host *h, struct gl_fork_hook *hook);
void gl_fork_remove(gl_host *h, struct gl_fork_hook *hook);

/* Ends a forked child: calls the `leave` of all hooks, runs the exit handlers, and exits. */
_Noreturn void gl_fork_leave(gl_host *h, int code);

#endif
