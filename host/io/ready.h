/* SPDX-License-Identifier: MIT
 *
 * Waiting until a descriptor is ready, for descriptors whose flags are not ours: uv_poll sets O_NONBLOCK on what it
 * watches, which every process that shares a pipe or a terminal would feel. So these are in an epoll of our own, and
 * libuv watches that one descriptor.
 */
#ifndef GL_IO_READY_H
#define GL_IO_READY_H

#include <stdbool.h>

#include "core/host.h"

typedef struct gl_ready gl_ready;

typedef struct gl_ready_entry {
  void (*on_ready)(struct gl_ready_entry *w, bool in, bool out); /* on the loop; what it waited for is forgotten before */
  bool in, out; /* what it waits for */
  bool known;   /* is in the epoll */
} gl_ready_entry;

/* NULL: out of memory or descriptors. */
gl_ready *gl_ready_new(gl_host *h);

/* Wait for what w->in and w->out say, once. 0 or a negative errno: EPERM for what cannot be polled. */
int gl_ready_wait(gl_ready *r, gl_ready_entry *w, int fd);

/* Forget it: before the descriptor is closed. */
void gl_ready_remove(gl_ready *r, gl_ready_entry *w, int fd);

/* In a forked child: the epoll is one of its own, with nothing in it. Whoever has watches resets them. */
void gl_ready_forked(gl_ready *r);

void gl_ready_free(gl_ready *r);

#endif
