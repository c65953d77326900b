/* SPDX-License-Identifier: MIT
 *
 * poll, ppoll and their like on an epoll descriptor, which is itself pollable.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libc/abandon.h"
#include "libc/calls.h"
#include "libc/limit.h"
#include "libc/look.h"
#include "libc/spin.h"
#include "libc/wait.h"

#define FEW 16 /* descriptors whose watches lie on the C stack */

/* Marks what was closed while it was waited for. Returns how many descriptors that are. */
static int mark_closed(const gl_watch *watches, size_t n) {
  int marked = 0;
  for (size_t i = 0; i < n; i++) {
    if (!watches[i].closed) continue;
    ((struct pollfd *)watches[i].tag)->revents = POLLNVAL;
    marked++;
  }
  return marked;
}

static size_t make_watches(struct pollfd *fds, nfds_t n, gl_watch *watches) {
  size_t k = 0;
  for (nfds_t i = 0; i < n; i++)
    if (fds[i].fd >= 0) watches[k++] = (gl_watch){.fd = fds[i].fd, .events = (unsigned short)fds[i].events, .tag = &fds[i]};
  return k;
}

static int wait_for_any(gl_layer *l, struct pollfd *fds, nfds_t n, uint64_t due, gl_watch *watches) {
  for (;;) {
    size_t k = make_watches(fds, n, watches);
    gl_waited waited = gl_wait(l, &gl_poll_type, watches, k, due);
    if (waited == GL_WAITED_FAILED) return -1;
    int got = gl_look(fds, n);
    if (waited == GL_WAITED_CLOSED) return mark_closed(watches, k);
    if (got != 0 || waited == GL_WAITED_TIMEOUT) return got;
  }
}

/* Waits until one of the descriptors is ready, of which none was a moment ago. `due`: ns; 0 = no end. */
static int wait_for_some(gl_layer *l, struct pollfd *fds, nfds_t n, uint64_t due) {
  gl_watch few[FEW];
  gl_watch *watches = n <= FEW ? few : malloc(n * sizeof *watches);
  if (!watches) {
    errno = ENOMEM;
    return -1;
  }
  int got = wait_for_any(l, fds, n, due, watches);
  int error = errno;
  if (watches != few) free(watches);
  errno = error;
  return got;
}

/* A connection that was abandoned has ended: so is it seen. */
static void check_abandoned(gl_layer *l, const struct pollfd *fds, nfds_t n) {
  for (nfds_t i = 0; l->abandonments && i < n; i++)
    if (fds[i].events & POLLIN) gl_abandon_check(l, fds[i].fd);
}

/* A call that does not wait. */
static int look_once(struct pollfd *fds, nfds_t n) {
  return gl_spin_result(gl_look(fds, n), &gl_poll_type, n == 1 ? fds->fd : GL_NO_FD, n == 1 ? fds->events : 0);
}

int gl_libc_poll(struct pollfd *fds, nfds_t n, int ms) {
  if (ms == 0 && gl_layer_here) return look_once(fds, n);
  gl_layer *l = gl_layer_now();
  if (!l) return poll(fds, n, ms);
  if (gl_wait_is_barred(l, &gl_poll_type)) return -1;
  check_abandoned(l, fds, n);
  int got = gl_look(fds, n);
  return got != 0 ? got : wait_for_some(l, fds, n, gl_wait_until(ms));
}

/* libc's own ends the process when the buffer is too short for what the caller asks. */
int gl_libc_poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size) {
  extern int __poll_chk(struct pollfd *, nfds_t, int, size_t);
  return size / sizeof *fds < n ? __poll_chk(fds, n, ms, size) : gl_libc_poll(fds, n, ms);
}

int gl_libc_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask) {
  uint64_t due;
  gl_layer *l = gl_layer_now();
  bool none = gl_limit_is_none(limit);
  if (!l || !gl_limit_keeps_mask(mask) || (!none && !gl_limit_until(limit, &due))) return ppoll(fds, n, limit, mask);
  if (none) return look_once(fds, n);
  if (gl_wait_is_barred(l, &gl_poll_type)) return -1;
  check_abandoned(l, fds, n);
  int got = gl_look(fds, n);
  return got != 0 ? got : wait_for_some(l, fds, n, due);
}

int gl_libc_ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask, size_t size) {
  extern int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
  return size / sizeof *fds < n ? __ppoll_chk(fds, n, limit, mask, size) : gl_libc_ppoll(fds, n, limit, mask);
}

/* ---- epoll ---- */

static int wait_for_epoll(gl_layer *l, int epoll, struct epoll_event *events, int most, uint64_t due) {
  for (;;) {
    gl_waited waited = gl_wait_for(l, &gl_epoll_type, epoll, POLLIN, due);
    if (waited == GL_WAITED_FAILED) return -1;
    if (waited == GL_WAITED_CLOSED) {
      errno = EBADF;
      return -1;
    }
    int got = gl_look_at_epoll(epoll, events, most);
    if (got != 0 || waited == GL_WAITED_TIMEOUT) return got;
  }
}

static int look_at_epoll_once(int epoll, struct epoll_event *events, int most) {
  return gl_spin_result(gl_look_at_epoll(epoll, events, most), &gl_epoll_type, epoll, POLLIN);
}

int gl_libc_epoll_wait(int epoll, struct epoll_event *events, int most, int ms) {
  if (ms == 0 && gl_layer_here) return look_at_epoll_once(epoll, events, most);
  gl_layer *l = gl_layer_now();
  if (!l) return epoll_wait(epoll, events, most, ms);
  if (gl_wait_is_barred(l, &gl_epoll_type)) return -1;
  int got = gl_look_at_epoll(epoll, events, most);
  return got != 0 ? got : wait_for_epoll(l, epoll, events, most, gl_wait_until(ms));
}

int gl_libc_epoll_pwait(int epoll, struct epoll_event *events, int most, int ms, const sigset_t *mask) {
  if (!gl_layer_now() || !gl_limit_keeps_mask(mask)) return epoll_pwait(epoll, events, most, ms, mask);
  return gl_libc_epoll_wait(epoll, events, most, ms);
}

int gl_libc_epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *limit, const sigset_t *mask) {
  uint64_t due;
  gl_layer *l = gl_layer_now();
  bool none = gl_limit_is_none(limit);
  if (!l || !gl_limit_keeps_mask(mask) || (!none && !gl_limit_until(limit, &due))) return epoll_pwait2(epoll, events, most, limit, mask);
  if (none) return look_at_epoll_once(epoll, events, most);
  if (gl_wait_is_barred(l, &gl_epoll_type)) return -1;
  int got = gl_look_at_epoll(epoll, events, most);
  return got != 0 ? got : wait_for_epoll(l, epoll, events, most, due);
}
