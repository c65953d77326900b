/* SPDX-License-Identifier: MIT
 *
 * Limits of waits as libc's functions are given them.
 */
#ifndef GL_LIBC_LIMIT_H
#define GL_LIBC_LIMIT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Stores when a wait of this length is over, ns; 0 for NULL, which has no end. False: the wait is not valid, or of no length at
 * all: such a call is libc's own. */
bool gl_limit_until(const struct timespec *limit, uint64_t *due);

/* Is it of no length at all? */
bool gl_limit_is_none(const struct timespec *limit);

/* Is the mask the one that the thread has anyway (or NULL)? Another one cannot be given to a task that is parked. */
bool gl_limit_keeps_mask(const sigset_t *mask);

/* When a call on the socket that begins to wait now is over: by SO_RCVTIMEO or SO_SNDTIMEO (`option`). 0 = never. */
uint64_t gl_limit_of_socket(int fd, int option);

/* Would a call on this descriptor block (no O_NONBLOCK)? Keeps errno. */
bool gl_limit_blocks(int fd);

#endif
