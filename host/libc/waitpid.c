/* SPDX-License-Identifier: MIT
 *
 * waitpid and its like. Of one child, whose end alone is waited for, a pidfd tells; of several, and of children that stop, nothing does,
 * and so the task looks again and again.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libc/calls.h"
#include "libc/spin.h"
#include "libc/waitpid.h"

#define MOST_MS 20 /* between two looks; at first it is 1 */

/* Waits before the next look. `pid`: the child, or what no pidfd stands for. False: the call must fail; errno is set. */
static bool await_child(gl_layer *l, const gl_optype *type, pid_t pid, int options, int *pause) {
  bool ends_only = pid > 0 && !(options & (WUNTRACED | WCONTINUED));
  int error = errno, fd = ends_only ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
  errno = error;
  if (fd < 0) {
    gl_waited waited = gl_wait_again(l, type, *pause, 0);
    *pause = *pause * 2 < MOST_MS ? *pause * 2 : MOST_MS;
    return waited != GL_WAITED_FAILED;
  }
  gl_waited waited = gl_wait_for(l, type, fd, POLLIN, 0);
  error = errno;
  if (waited != GL_WAITED_CLOSED) close(fd);
  errno = error;
  return waited != GL_WAITED_FAILED;
}

pid_t gl_waitpid(gl_layer *l, const gl_optype *type, pid_t pid, int *status, int options, struct rusage *usage) {
  int pause = 1;
  if (gl_wait_is_barred(l, type)) return -1;
  for (;;) {
    pid_t got = wait4(pid, status, options | WNOHANG, usage);
    if (got != 0) return got;
    if (!await_child(l, type, pid, options, &pause)) return -1;
  }
}

/* The result of a call that does not wait. */
static pid_t looked(pid_t got) { return gl_spin_result(got, &gl_waitpid_type, GL_NO_FD, 0); }

/* waitid that does not wait: 0 with si_pid 0 is what it says of no child. */
static int look_for_child(idtype_t type, id_t id, siginfo_t *info, int options) {
  int r = waitid(type, id, info, options);
  return r == 0 && !info->si_pid && !gl_spin_goes_on(&gl_waitpid_type, GL_NO_FD, 0) ? -1 : r;
}

static gl_layer *layer_for(int options) { return options & WNOHANG ? NULL : gl_layer_now(); }

pid_t gl_libc_wait4(pid_t pid, int *status, int options, struct rusage *usage) {
  gl_layer *l = layer_for(options);
  return l ? gl_waitpid(l, &gl_waitpid_type, pid, status, options, usage) : looked(wait4(pid, status, options, usage));
}

pid_t gl_libc_waitpid(pid_t pid, int *status, int options) {
  gl_layer *l = layer_for(options);
  return l ? gl_waitpid(l, &gl_waitpid_type, pid, status, options, NULL) : looked(waitpid(pid, status, options));
}

pid_t gl_libc_wait3(int *status, int options, struct rusage *usage) {
  gl_layer *l = layer_for(options);
  return l ? gl_waitpid(l, &gl_waitpid_type, -1, status, options, usage) : looked(wait3(status, options, usage));
}

pid_t gl_libc_wait(int *status) {
  gl_layer *l = gl_layer_now();
  return l ? gl_waitpid(l, &gl_waitpid_type, -1, status, 0, NULL) : wait(status);
}

int gl_libc_waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
  siginfo_t unwanted;
  gl_layer *l = layer_for(options);
  if (!l) return info && (options & WNOHANG) ? look_for_child(type, id, info, options) : waitid(type, id, info, options);
  if (!info) info = &unwanted; /* it says whether a child was found */
  int pause = 1, others = options & WEXITED ? options & (WSTOPPED | WCONTINUED) : WSTOPPED;
  if (gl_wait_is_barred(l, &gl_waitpid_type)) return -1;
  for (;;) {
    info->si_pid = 0;
    int r = waitid(type, id, info, options | WNOHANG);
    if (r != 0 || info->si_pid) return r;
    if (!await_child(l, &gl_waitpid_type, type == P_PID ? (pid_t)id : -1, others, &pause)) return -1;
  }
}
