/* SPDX-License-Identifier: MIT
 *
 * Watches a socket that nobody reads for its other side's end or a reset, which libuv tells only those who read.
 */
#ifndef GL_NET_HANGUP_H
#define GL_NET_HANGUP_H

#include "core/host.h"

typedef struct gl_hangup gl_hangup;

/* Begins to watch the socket `fd`, which stays the caller's; a duplicate of it is what the loop looks at, as it looks at each descriptor
 * for one handle only. `told` is called from the loop once, and drops the watch. NULL: there is no memory or descriptor for it. */
gl_hangup *gl_hangup_watch(gl_host *h, int fd, void (*told)(void *arg), void *arg);

/* Ends the watch, and closes the duplicate at once: the connection would live on with it. */
void gl_hangup_drop(gl_hangup *w);

#endif
