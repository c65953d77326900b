/* SPDX-License-Identifier: MIT
 *
 * A C module calls fork(). The child has one thread, and one task: the one that forked, which goes on with a loop, a watchdog
 * and timers of its own. All else that the parent does is the parent's: its other tasks never run in the child, nothing it waited
 * for is waited for there, its servers do not listen, its signals have their defaults, its socket files stay.
 *
 *     at once, after fork returns   a new epoll instance (the old one is shared: what is forgotten there, the parent does not
 *                                   hear of any more), queues and timers emptied, the other tasks ended
 *     before it first waits         a watchdog; a child that execs has no thread more for nothing
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

/* Of an owner of kernel objects, or of bytes, that a child must not share. */
struct gl_fork_hook {
  void (*forked)(struct gl_fork_hook *hook); /* in the child, at once. Calls no Lua */
  void (*leave)(struct gl_fork_hook *hook);  /* in the child, when it ends. Calls no Lua */
  struct gl_fork_hook *next;                 /* in host->fork_hooks */
};

/* From now on `h` is ready for a fork on the thread that calls this. Once its loop is there. */
void gl_fork_begin(gl_host *h);

/* The host is to be closed: a fork is none of its business any more. */
void gl_fork_end(gl_host *h);

void gl_fork_add(gl_host *h, struct gl_fork_hook *hook);
void gl_fork_remove(gl_host *h, struct gl_fork_hook *hook);

/* Ends a forked child: writes what is to be written, and runs the exit handlers. */
_Noreturn void gl_fork_leave(gl_host *h, int code);

#endif
