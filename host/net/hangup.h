/* SPDX-License-Identifier: MIT
 *
 * Watches a socket that is not being read for the other side's end, or a reset; libuv reports both only while it reads.
 */
#ifndef GL_NET_HANGUP_H
#define GL_NET_HANGUP_H

#include "core/host.h"

typedef struct gl_hangup gl_hangup;

/* Begins to watch the socket `fd`, which stays the caller's. The loop polls a duplicate of it, because the loop has one handle for each
 * descriptor. `told` is called from the loop, once, and must drop the watch. NULL: there is no memory or descriptor for the watch. */
gl_hangup *gl_hangup_watch(gl_host *h, int fd, void (*told)(void *arg), void *arg);

/* Ends the watch, and closes the duplicate at once: as long as it is open, the connection lives on. */
void gl_hangup_drop(gl_hangup *w);

#endif
