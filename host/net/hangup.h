/* SPDX-License-Identifier: MIT
 *
 * The end of a socket: the watch of one that is not being read for the other side's end, or a reset, which libuv reports only while it reads;
 * and what the kernel says when it is asked.
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

/* Has the other side of the socket ended, or the connection been broken? Asks the kernel, which knows of the end only once its own buffer has
 * all that was sent before. */
bool gl_hangup_is_there(int fd);

/* Returns what the end of the socket is that libuv calls UV_EOF: that, or the error of a reset that has come together with bytes. Who reads
 * until the end must not take what was cut for whole. */
int gl_hangup_reason(int fd);

#endif
