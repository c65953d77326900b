/* SPDX-License-Identifier: MIT
 *
 * read, readv, write, writev, on what can make one wait: sockets, pipes, terminals, eventfds, timerfds. Files on disks are always
 * ready, says the kernel, and so are libc's own here.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libc/attempt.h"
#include "libc/calls.h"
#include "libc/exchange.h"
#include "libc/iov.h"
#include "libc/limit.h"
#include "libc/look.h"
#include "libc/spin.h"
#include "libc/transmit.h"

static bool is_ready(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  int error = errno;
  bool ready = gl_look(&p, 1) != 0;
  errno = error;
  return ready;
}

/* ---- reading ---- */

/* Waits until a read would not block. False: the read must fail; errno is set. */
static bool await_bytes(gl_layer *l, int fd) {
  gl_attempt a;
  if (!gl_attempt_begin(&a, l, &gl_read_type, fd, POLLIN)) return false;
  while (!is_ready(fd, POLLIN) && gl_limit_blocks(fd))
    if (!gl_attempt_go_on(&a)) return false;
  return true;
}

static ssize_t received(gl_layer *l, int fd, ssize_t n) {
  if (n >= 0) gl_exchange_receive(l, fd);
  else if (errno == EAGAIN) gl_spin_goes_on(&gl_read_type, fd, POLLIN);
  return n;
}

ssize_t gl_libc_read(int fd, void *buf, size_t n) {
  gl_layer *l = gl_layer_now();
  if (!l || !n) return read(fd, buf, n);
  return await_bytes(l, fd) ? received(l, fd, read(fd, buf, n)) : -1;
}

ssize_t gl_libc_readv(int fd, const struct iovec *v, int n) {
  gl_layer *l = gl_layer_now();
  if (!l || n <= 0) return readv(fd, v, n);
  return await_bytes(l, fd) ? received(l, fd, readv(fd, v, n)) : -1;
}

/* libc's own ends the process when the buffer is too short for what the caller asks. */
ssize_t gl_libc_read_chk(int fd, void *buf, size_t n, size_t size) {
  extern ssize_t __read_chk(int, void *, size_t, size_t);
  return n > size ? __read_chk(fd, buf, n, size) : gl_libc_read(fd, buf, n);
}

/* ---- writing ---- */

static ssize_t written(int fd, ssize_t n) {
  if (n < 0 && errno == EAGAIN) gl_spin_goes_on(&gl_write_type, fd, POLLOUT);
  return n;
}

typedef enum kind { PLAIN, SOCKET, OTHER } kind;

/* What a write to the descriptor is: libc's own (files, and all that does not block), one to a socket, or one to a pipe or a device. */
static kind kind_of(int fd) {
  struct stat st;
  int error = errno;
  kind k = OTHER;
  if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)) k = PLAIN;
  else if (S_ISSOCK(st.st_mode)) k = SOCKET;
  else if (!gl_limit_blocks(fd)) k = PLAIN;
  errno = error;
  return k;
}

/* Writes so much as a pipe that is ready takes without blocking; also less than that, if the first buffer has less. */
static ssize_t write_some(int fd, const gl_iov *v) {
  size_t n = v->at->iov_len;
  return write(fd, v->at->iov_base, n < PIPE_BUF ? n : PIPE_BUF);
}

/* Writes to a pipe or a device that blocks: everything, or the part that came before an error. What fits into a pipe in one piece is
 * written in one piece. */
static ssize_t write_all(gl_layer *l, int fd, const struct iovec *v, size_t n) {
  gl_attempt a;
  gl_iov rest;
  size_t done = 0, wanted = gl_iov_length(v, n);
  if (!gl_attempt_begin(&a, l, &gl_write_type, fd, POLLOUT) || !gl_iov_copy(&rest, v, n)) return -1;
  gl_iov_skip(&rest, 0);
  while (done < wanted) {
    bool ready = is_ready(fd, POLLOUT);
    if (!ready && gl_attempt_go_on(&a)) continue;
    bool whole = n > 1 && !done && wanted <= PIPE_BUF;
    ssize_t got = !ready ? -1 : whole ? writev(fd, v, (int)n) : write_some(fd, &rest);
    if (got < 0) break;
    a.tries = 0;
    done += (size_t)got;
    gl_iov_skip(&rest, (size_t)got);
  }
  gl_iov_free(&rest);
  return done || !wanted ? (ssize_t)done : -1;
}

static ssize_t write_as(kind k, gl_layer *l, int fd, const struct iovec *v, size_t n) {
  struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n};
  return k == SOCKET ? gl_transmit(l, &gl_write_type, fd, &m, 0) : write_all(l, fd, v, n);
}

ssize_t gl_libc_write(int fd, const void *buf, size_t n) {
  gl_layer *l = gl_layer_now();
  kind k = l && n ? kind_of(fd) : PLAIN;
  struct iovec v = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
  return k == PLAIN ? written(fd, write(fd, buf, n)) : write_as(k, l, fd, &v, 1);
}

ssize_t gl_libc_writev(int fd, const struct iovec *v, int n) {
  gl_layer *l = gl_layer_now();
  kind k = l && n > 0 && n <= IOV_MAX ? kind_of(fd) : PLAIN;
  return k == PLAIN ? written(fd, writev(fd, v, n)) : write_as(k, l, fd, v, (size_t)n);
}
