/* SPDX-License-Identifier: MIT
 *
 * recv, recvfrom, recvmsg. All are recvmsg in the end, which is what the kernel makes of them, too.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "libc/attempt.h"
#include "libc/calls.h"
#include "libc/exchange.h"
#include "libc/iov.h"
#include "libc/limit.h"
#include "libc/look.h"

#define PEEK_MS 5 /* between two looks of a peek for more than is there: no event tells of the rest */

/* The layer for a call with these flags; NULL: it is libc's own, which has nothing to do with what others receive. */
static gl_layer *layer_for(int flags) { return flags & (MSG_OOB | MSG_ERRQUEUE) ? NULL : gl_layer_now(); }

/* Does MSG_WAITALL have a meaning: is the descriptor a stream that blocks? */
static bool fills(int fd, int flags) {
  if (flags & MSG_DONTWAIT) return false;
  int type = 0, error = errno;
  socklen_t n = sizeof type;
  bool does = (flags & MSG_WAITALL) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM && gl_limit_blocks(fd);
  errno = error;
  return does;
}

/* Receives once, whatever is there. */
static ssize_t receive_some(gl_attempt *a, struct msghdr *m, int flags) {
  ssize_t n;
  do n = recvmsg(a->fd, m, (flags & ~MSG_WAITALL) | MSG_DONTWAIT);
  while (n < 0 && gl_attempt_again(a));
  return n;
}

/* Receives what is missing behind the first `done` bytes. What was received counts, whatever ends the wait. */
static ssize_t receive_rest(gl_attempt *a, const struct msghdr *m, size_t done, size_t wanted, int flags) {
  gl_iov v;
  if (!gl_iov_copy(&v, m->msg_iov, m->msg_iovlen)) return (ssize_t)done;
  gl_iov_skip(&v, done);
  while (done < wanted) {
    struct msghdr rest = {.msg_iov = v.at, .msg_iovlen = v.n};
    ssize_t n = receive_some(a, &rest, flags);
    if (n <= 0) break;
    a->tries = 0;
    done += (size_t)n;
    gl_iov_skip(&v, (size_t)n);
  }
  gl_iov_free(&v);
  return (ssize_t)done;
}

/* Peeks until all is there that was asked for, or no more will come. */
static ssize_t peek_all(gl_attempt *a, struct msghdr *m, ssize_t n, size_t wanted, int flags) {
  struct pollfd gone = {.fd = a->fd, .events = POLLRDHUP};
  a->due = gl_limit_of_socket(a->fd, SO_RCVTIMEO);
  while (n > 0 && (size_t)n < wanted && gl_look(&gone, 1) == 0) {
    if (gl_wait_again(a->layer, a->type, PEEK_MS, a->due) != GL_WAITED_READY) break;
    n = receive_some(a, m, flags);
  }
  return n;
}

static ssize_t receive(gl_layer *l, int fd, struct msghdr *m, int flags) {
  gl_attempt a;
  if (!gl_attempt_begin(&a, l, &gl_recv_type, fd, POLLIN)) return -1;
  a.at_once = flags & MSG_DONTWAIT;
  size_t wanted = gl_iov_length(m->msg_iov, m->msg_iovlen);
  ssize_t n = receive_some(&a, m, flags);
  if (n >= 0) gl_exchange_receive(l, fd);
  if (n <= 0 || (size_t)n >= wanted || !fills(fd, flags)) return n;
  return flags & MSG_PEEK ? peek_all(&a, m, n, wanted, flags) : receive_rest(&a, m, (size_t)n, wanted, flags);
}

ssize_t gl_libc_recv(int fd, void *buf, size_t n, int flags) {
  gl_layer *l = layer_for(flags);
  if (!l) return recv(fd, buf, n, flags);
  struct iovec v = {.iov_base = buf, .iov_len = n};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  return receive(l, fd, &m, flags);
}

ssize_t gl_libc_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len) {
  gl_layer *l = layer_for(flags);
  if (!l || (from && (!len || (int)*len < 0))) return recvfrom(fd, buf, n, flags, from, len);
  struct iovec v = {.iov_base = buf, .iov_len = n};
  struct msghdr m = {.msg_name = from, .msg_namelen = from ? *len : 0, .msg_iov = &v, .msg_iovlen = 1};
  ssize_t got = receive(l, fd, &m, flags);
  if (got >= 0 && from) *len = m.msg_namelen;
  return got;
}

ssize_t gl_libc_recvmsg(int fd, struct msghdr *m, int flags) {
  gl_layer *l = m ? layer_for(flags) : NULL;
  return l ? receive(l, fd, m, flags) : recvmsg(fd, m, flags);
}

/* libc's own end the process when the buffer is too short for what the caller asks. */
ssize_t gl_libc_recv_chk(int fd, void *buf, size_t n, size_t size, int flags) {
  extern ssize_t __recv_chk(int, void *, size_t, size_t, int);
  return n > size ? __recv_chk(fd, buf, n, size, flags) : gl_libc_recv(fd, buf, n, flags);
}

ssize_t gl_libc_recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *from, socklen_t *len) {
  extern ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
  return n > size ? __recvfrom_chk(fd, buf, n, size, flags, from, len) : gl_libc_recvfrom(fd, buf, n, flags, from, len);
}
