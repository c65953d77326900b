/* SPDX-License-Identifier: MIT
 *
 * What is ready now: libc's own poll and epoll_wait, told not to wait. A signal that comes just then makes even these fail with EINTR,
 * and the watchdog of the host sends signals all the time: C code must not hear of them, and nothing is ready for one.
 */
#ifndef GL_LIBC_LOOK_H
#define GL_LIBC_LOOK_H

#include <poll.h>
#include <sys/epoll.h>

int gl_look(struct pollfd *fds, nfds_t n);
int gl_look_at_epoll(int epoll, struct epoll_event *events, int most);

#endif
