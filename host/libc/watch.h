/* SPDX-License-Identifier: MIT
 *
 * Descriptors that tasks wait for, by number: any number of tasks for the same one, in an epoll of our own (uv_poll would set
 * O_NONBLOCK on what belongs to a C module, and knows a descriptor once only). libuv watches that one epoll.
 *
 *     a descriptor in the epoll:
 *     UNKNOWN --gl_watch_add: EPOLL_CTL_ADD--> ARMED for what its watches want, together --event--> DISARMED (EPOLLONESHOT)
 *                                                ^                                                     |
 *                                                '---- gl_watch_add, or watches are left: MOD ---------'
 *
 * A descriptor stays in the epoll, armed or not, when nobody waits for it any more: so the next wait costs one system call. The
 * number may be another file's by then: EPOLL_CTL_MOD says ENOENT, and the number is added anew.
 *
 * Invariants:
 *  1. The epoll tells at least what the watches of a descriptor want, except within on_event and after an error of epoll_ctl.
 *  2. A watch is on its descriptor's list until it was removed, or its descriptor was closed.
 */
#ifndef GL_LIBC_WATCH_H
#define GL_LIBC_WATCH_H

#include "core/host.h"

/* The bits of poll and epoll are the same ones. */
typedef struct gl_watch {
  int fd;
  uint32_t events;     /* POLLIN ...; errors and hang-ups come in any case */
  bool closed;         /* the descriptor was closed while it was waited for */
  bool listed;         /* it is on the list of its descriptor */
  void (*on_ready)(struct gl_watch *w); /* called on the loop, or by gl_watch_closed, at least once when there is something to see; removes nothing */
  struct gl_watch *next;
  void *owner;         /* for on_ready */
  void *tag;           /* the caller's own */
} gl_watch;

struct gl_watcher;

/* NULL: no memory or descriptors. */
struct gl_watcher *gl_watcher_new(gl_host *h);

void gl_watcher_free(struct gl_watcher *r);

/* Adds a watch, whose memory is the caller's. Returns 0, or a negative errno: EPERM for what is always ready. */
int gl_watch_add(struct gl_watcher *r, gl_watch *w);

/* Removes it; harmless when it is not on the list. */
void gl_watch_remove(struct gl_watcher *r, gl_watch *w);

/* Is the descriptor waited for? */
bool gl_watch_has(const struct gl_watcher *r, int fd);

/* Says that the descriptor is about to be closed, or to become another's: all its watches are ready, and off the list. */
void gl_watch_closed(struct gl_watcher *r, int fd);

/* One more than the highest descriptor that was ever waited for. */
int gl_watch_end(const struct gl_watcher *r);

#endif
