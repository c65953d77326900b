/* SPDX-License-Identifier: MIT */
#include "libc/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <uv.h>

#define SECOND 1000000000ll /* ns */
#define AGES 3200000000ll   /* s: some 100 years */

bool gl_limit_is_none(const struct timespec *limit) { return limit && !limit->tv_sec && !limit->tv_nsec; }

bool gl_limit_until(const struct timespec *limit, uint64_t *due) {
  *due = 0;
  if (!limit) return true;
  if (limit->tv_sec < 0 || limit->tv_nsec < 0 || limit->tv_nsec >= SECOND || gl_limit_is_none(limit)) return false;
  if (limit->tv_sec < AGES) *due = uv_hrtime() + (uint64_t)(limit->tv_sec * SECOND + limit->tv_nsec);
  return true;
}

bool gl_limit_keeps_mask(const sigset_t *mask) {
  sigset_t now;
  if (!mask) return true;
  if (pthread_sigmask(SIG_SETMASK, NULL, &now) != 0) return false;
  for (int signo = 1; signo < NSIG; signo++)
    if (sigismember(mask, signo) != sigismember(&now, signo) && signo != SIGKILL && signo != SIGSTOP) return false;
  return true;
}

uint64_t gl_limit_of_socket(int fd, int option) {
  struct timeval limit = {0};
  socklen_t n = sizeof limit;
  int error = errno;
  bool has = getsockopt(fd, SOL_SOCKET, option, &limit, &n) == 0 && (limit.tv_sec || limit.tv_usec) && limit.tv_sec < AGES;
  errno = error;
  return has ? uv_hrtime() + (uint64_t)(limit.tv_sec * SECOND + limit.tv_usec * 1000) : 0;
}

bool gl_limit_blocks(int fd) {
  int error = errno, flags = fcntl(fd, F_GETFL);
  errno = error;
  return flags >= 0 && !(flags & O_NONBLOCK);
}
