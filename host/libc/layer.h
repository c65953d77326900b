/* SPDX-License-Identifier: MIT
 *
 * C modules that block, and the C libraries under them, wait like everything else: the functions of libc in which they block are
 * exported by this executable, which comes first in the dynamic linker's search (host/cmake/symbols.cmake).
 *
 *     libpq, below a script: poll(fds, n, -1)
 *       | gl_libc_poll: may the call park? (gl_layer_host)  --no--> libc's own poll, as if the layer were not there
 *       v yes
 *     libc's own poll without waiting: is something ready? --yes--> its result
 *       v no
 *     gl_wait (libc/wait.h): the task leaves its C stack standing until a descriptor is ready or the time is over
 *       v
 *     libc's own poll without waiting: its result, to the letter
 *
 * So each function has libc's semantics because libc's function gives the result; the layer adds the waiting only.
 *
 * Where nothing can park the call is libc's own and blocks: outside of a task, on another thread, in a signal handler, in a child,
 * within task.atomic. In a finalizer it blocks for a short while, and then fails.
 */
#ifndef GL_LIBC_LAYER_H
#define GL_LIBC_LAYER_H

#include "core/host.h"

/* Makes C modules that run on the calling thread wait in `h`. Call once for each host, in the process that made it. Does nothing
 * under GREENLUA_LIBC=off, or without memory or descriptors. */
void gl_layer_start(gl_host *h);

/* Ends that; call before gl_host_close, on the same thread. No task may be parked. */
void gl_layer_stop(gl_host *h);

/* ---- for this room ---- */

struct gl_abandoned;
struct gl_exchange;
struct gl_watcher;
struct gl_holds;

#define GL_NO_FD (-1)  /* it is not in a call of libc, or waits for several */
#define GL_NO_FDS (-2) /* the call sleeps */

#define GL_SENDERS 64
#define GL_OWED 64

typedef struct gl_layer {
  gl_host *host;
  int process;                /* id of the process that the layer is for */
  struct gl_watcher *watcher; /* descriptors that are waited for (libc/watch.h); NULL until the first wait */
  struct gl_holds *holds;     /* objects that calls are in the middle of (libc/hold.h) */
  int fd;                     /* what the running task is about to wait for in a call of libc, if it is one descriptor; or one of these: */
  bool reaching;              /* the running task is about to wait for an object: its C function has not begun with it */
  const void *reached;        /* the object that C code has reached last, */
  const gl_task *reacher;     /* in this task; */
  bool reaches_first;         /* it has neither sent nor received since */
  struct gl_exchange *owed[GL_OWED]; /* answers that tasks have left unread (libc/exchange.h), by their descriptors */
  lua_CFunction senders[GL_SENDERS]; /* C functions that begin with sending (libc/exchange.h), by their address */
  uint64_t failed_task;       /* the task whose last waits all failed because it must end, */
  int failures;               /* and how many those are */
  uint64_t spin_beat;         /* the step in which C code spins (libc/spin.h), */
  int spins;                  /* and how many calls of its have come since the slice has ended */
  struct gl_abandoned *abandoned; /* connections whose exchange was cut short (libc/abandon.h), */
  size_t abandonments;            /* and how many those are */
} gl_layer;

/* The place of a function in `senders`. */
static inline size_t gl_layer_sender_slot(lua_CFunction f) { return ((uintptr_t)f >> 4) % GL_SENDERS; }

/* The list in `owed` for a descriptor. */
static inline struct gl_exchange **gl_layer_owed(gl_layer *l, int fd) { return &l->owed[(unsigned int)fd % GL_OWED]; }

/* The layer of this thread; NULL = there is none. */
extern _Thread_local gl_layer *gl_layer_here;

/* The layer if the running task may wait in this call; NULL: the call is libc's own. */
gl_layer *gl_layer_admit(gl_layer *l);
static inline gl_layer *gl_layer_now(void) {
  gl_layer *l = gl_layer_here;
  return l && l->host->task && l->host->running ? gl_layer_admit(l) : NULL;
}

/* Does a finalizer run? */
bool gl_layer_finalizes(const gl_layer *l);

/* Is it a function of this executable, rather than of a C module? */
bool gl_layer_is_ours(const void *function);

/* Is this the process that the layer is for, rather than a child that shares or copied its memory? */
bool gl_layer_is_home(const gl_layer *l);

#endif
