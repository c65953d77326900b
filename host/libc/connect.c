/* SPDX-License-Identifier: MIT
 *
 * connect and accept. Neither has a flag that says "do not wait", so O_NONBLOCK is set around libc's own call, and taken back at
 * once: no other task runs in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>

#include "libc/attempt.h"
#include "libc/calls.h"
#include "libc/limit.h"
#include "libc/look.h"
#include "libc/spin.h"

#define FULL_MS 10 /* between two attempts at a unix socket whose queue of connections is full: no event tells of room */

/* Calls connect without waiting. */
static int connect_now(int fd, const struct sockaddr *to, socklen_t len) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int r = connect(fd, to, len), error = errno;
  if (flags >= 0) fcntl(fd, F_SETFL, flags);
  errno = error;
  return r;
}

/* Calls connect on a socket that does not block. */
static int connect_once(int fd, const struct sockaddr *to, socklen_t len) {
  int r = connect(fd, to, len);
  if (r != 0 && (errno == EALREADY || errno == EAGAIN)) gl_spin_goes_on(&gl_connect_type, fd, POLLOUT);
  return r;
}

/* Waits for what a first attempt has begun. Asking the kernel again gives the result, and brings the socket into the state in which
 * a connect that waits would leave it. */
static int finish_connect(gl_attempt *a, const struct sockaddr *to, socklen_t len) {
  a->due = gl_limit_of_socket(a->fd, SO_SNDTIMEO);
  for (;;) {
    bool full = errno == EAGAIN;
    gl_waited waited = full ? gl_wait_again(a->layer, a->type, FULL_MS, a->due) : gl_wait_for(a->layer, a->type, a->fd, POLLOUT, a->due);
    if (waited == GL_WAITED_FAILED) return -1;
    if (waited != GL_WAITED_READY) {
      errno = waited == GL_WAITED_CLOSED ? EBADF : full ? EAGAIN : EINPROGRESS;
      return -1;
    }
    int r = connect_now(a->fd, to, len);
    if (r == 0 || (errno != EAGAIN && errno != EINPROGRESS && errno != EALREADY)) return r;
  }
}

int gl_libc_connect(int fd, const struct sockaddr *to, socklen_t len) {
  gl_attempt a;
  gl_layer *l = gl_layer_now();
  if (!l) return connect(fd, to, len);
  if (!gl_attempt_begin(&a, l, &gl_connect_type, fd, POLLOUT)) return -1;
  if (!gl_limit_blocks(fd)) return connect_once(fd, to, len);
  int r = connect_now(fd, to, len);
  if (r == 0 || (errno != EINPROGRESS && errno != EALREADY && errno != EAGAIN)) return r;
  return finish_connect(&a, to, len);
}

static int accept_now(int fd, struct sockaddr *from, socklen_t *len, int how) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int r = accept4(fd, from, len, how), error = errno;
  if (flags >= 0) fcntl(fd, F_SETFL, flags);
  errno = error;
  return r;
}

/* Calls accept4 on a listener that does not block. */
static int accept_once(int fd, struct sockaddr *from, socklen_t *len, int how) {
  int r = accept4(fd, from, len, how);
  if (r < 0 && errno == EAGAIN) gl_spin_goes_on(&gl_accept_type, fd, POLLIN);
  return r;
}

int gl_libc_accept4(int fd, struct sockaddr *from, socklen_t *len, int how) {
  gl_attempt a;
  struct pollfd p = {.fd = fd, .events = POLLIN};
  gl_layer *l = gl_layer_now();
  if (!l) return accept4(fd, from, len, how);
  if (!gl_attempt_begin(&a, l, &gl_accept_type, fd, POLLIN)) return -1;
  if (!gl_limit_blocks(fd)) return accept_once(fd, from, len, how);
  for (;;) {
    int r = -1;
    errno = EAGAIN;
    if (gl_look(&p, 1) != 0) r = accept_now(fd, from, len, how);
    if (r >= 0 || !gl_attempt_again(&a)) return r;
  }
}

int gl_libc_accept(int fd, struct sockaddr *from, socklen_t *len) {
  return gl_layer_now() ? gl_libc_accept4(fd, from, len, 0) : accept(fd, from, len);
}
