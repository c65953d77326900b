/* SPDX-License-Identifier: MIT
 *
 * send, sendto, sendmsg, and what a write to a socket is. On a stream that blocks they return when everything was taken, or with
 * the part that was taken when an error, the time or a cancel comes in the middle, as the kernel does.
 */
#include "libc/transmit.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "libc/attempt.h"
#include "libc/calls.h"
#include "libc/iov.h"
#include "libc/limit.h"

static gl_layer *layer_for(int flags) { return flags & (MSG_OOB | MSG_FASTOPEN) ? NULL : gl_layer_now(); }

/* Sends what is missing behind the first `done` bytes. The next call hears of an error, with its SIGPIPE. */
static ssize_t send_rest(gl_attempt *a, const struct msghdr *m, size_t done, size_t wanted, int flags) {
  gl_iov v;
  if (!gl_iov_copy(&v, m->msg_iov, m->msg_iovlen)) return (ssize_t)done;
  gl_iov_skip(&v, done);
  while (done < wanted && gl_attempt_go_on(a)) {
    struct msghdr rest = {.msg_name = m->msg_name, .msg_namelen = m->msg_namelen, .msg_iov = v.at, .msg_iovlen = v.n};
    ssize_t n = sendmsg(a->fd, &rest, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) break;
    if (n <= 0) continue;
    a->tries = 0;
    done += (size_t)n;
    gl_iov_skip(&v, (size_t)n);
  }
  gl_iov_free(&v);
  return (ssize_t)done;
}

ssize_t gl_transmit(gl_layer *l, const gl_optype *type, int fd, const struct msghdr *m, int flags) {
  gl_attempt a;
  if (!gl_attempt_begin(&a, l, type, fd, POLLOUT)) return -1;
  ssize_t n;
  a.at_once = flags & MSG_DONTWAIT;
  do n = sendmsg(fd, m, flags | MSG_DONTWAIT);
  while (n < 0 && gl_attempt_again(&a));
  size_t wanted = gl_iov_length(m->msg_iov, m->msg_iovlen);
  if (n < 0 || (size_t)n >= wanted || a.at_once || !gl_limit_blocks(fd)) return n;
  a.tries = 0;
  return send_rest(&a, m, (size_t)n, wanted, flags);
}

ssize_t gl_libc_send(int fd, const void *buf, size_t n, int flags) {
  gl_layer *l = layer_for(flags);
  if (!l) return send(fd, buf, n, flags);
  struct iovec v = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  return gl_transmit(l, &gl_send_type, fd, &m, flags);
}

ssize_t gl_libc_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len) {
  gl_layer *l = layer_for(flags);
  if (!l) return sendto(fd, buf, n, flags, to, len);
  struct iovec v = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
  struct msghdr m = {.msg_name = (void *)(uintptr_t)to, .msg_namelen = to ? len : 0, .msg_iov = &v, .msg_iovlen = 1};
  return gl_transmit(l, &gl_send_type, fd, &m, flags);
}

ssize_t gl_libc_sendmsg(int fd, const struct msghdr *m, int flags) {
  gl_layer *l = m ? layer_for(flags) : NULL;
  return l ? gl_transmit(l, &gl_send_type, fd, m, flags) : sendmsg(fd, m, flags);
}
