/* SPDX-License-Identifier: MIT */
#include "libc/look.h"

#include <errno.h>

int gl_look(struct pollfd *fds, nfds_t n) {
  int got;
  do got = poll(fds, n, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

int gl_look_at_epoll(int epoll, struct epoll_event *events, int most) {
  int got;
  do got = epoll_wait(epoll, events, most, 0);
  while (got < 0 && errno == EINTR);
  return got;
}
