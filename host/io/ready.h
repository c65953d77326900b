/* SPDX-License-Identifier: MIT
 *
 * Waiting until a descriptor is ready, for descriptors whose flags other processes share: uv_poll sets O_NONBLOCK on what it
 * watches, which every process at the same pipe or terminal would feel. So these are in an epoll of our own, and libuv watches
 * that one descriptor.
 *
 *     (not known) --- gl_ready_wait: EPOLL_CTL_ADD -----> ARMED for `in`, `out` or both
 *     ARMED --- on_event: what came is cleared, on_ready is called ---> DISARMED (EPOLLONESHOT), also for what did not come
 *     DISARMED --- gl_ready_wait: EPOLL_CTL_MOD --------> ARMED
 *     any --- gl_ready_remove --------------------------> (not known)
 *
 * Invariants:
 *   1. An entry is removed before its descriptor is closed, and before its memory is freed.
 *   2. on_event takes one event at a time from the kernel: what on_ready starts may remove other entries.
 */
#ifndef GL_IO_READY_H
#define GL_IO_READY_H

#include <stdbool.h>

#include "core/host.h"

typedef struct gl_ready gl_ready;

typedef struct gl_ready_entry {
  void (*on_ready)(struct gl_ready_entry *w, bool in, bool out); /* on the loop: what came; w->in and w->out say what did not */
  bool in, out; /* waits for bytes; for room */
  bool known;   /* is in the epoll */
} gl_ready_entry;

/* Returns NULL when memory or descriptors are out. */
gl_ready *gl_ready_new(gl_host *h);

/* Waits for what w->in and w->out say, once. Returns 0 or a negative errno, EPERM for a descriptor that cannot be polled. */
int gl_ready_wait(gl_ready *r, gl_ready_entry *w, int fd);

/* Forgets the entry. Call before its descriptor is closed. */
void gl_ready_remove(gl_ready *r, gl_ready_entry *w, int fd);

/* In a forked child: makes an epoll of its own, with nothing in it. The owners of entries reset them. */
void gl_ready_forked(gl_ready *r);

void gl_ready_free(gl_ready *r);

#endif
