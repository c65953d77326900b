/* SPDX-License-Identifier: MIT */
#include "libc/spin.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "core/preempt.h"
#include "core/scope.h"
#include "libc/wait.h"

#define TRIES 100       /* calls after the end of the slice: who is back in Lua between two of them makes way there */
#define SERVED 4        /* the same where each call has done something, which takes longer */
#define REST_NS 1000000 /* what the next one waits, at most */

/* Counts a call after the end of the slice. Were there so many? */
static bool counts_to(gl_layer *l, int tries) {
  uint64_t beat = gl_pulse_beats(&l->host->pulse);
  if (l->spin_beat != beat) l->spins = 0;
  l->spin_beat = beat;
  return ++l->spins >= tries;
}

bool gl_spin_goes_on(const gl_optype *type, int fd, short events) {
  gl_layer *l = gl_layer_here;
  if (!l || !gl_preempt_is_due(l->host) || !counts_to(l, TRIES)) return true;
  int error = errno;
  if (!gl_layer_now() || gl_layer_finalizes(l)) return true;
  bool goes_on = gl_wait_for(l, type, fd, events, uv_hrtime() + REST_NS) != GL_WAITED_FAILED || errno != ECANCELED;
  if (goes_on) errno = error;
  return goes_on;
}

/* Of files nothing is waited for: C code reads them with a lock in hand that another task would take for its own (SQLite). */
static bool is_stream(int fd) {
  struct stat st;
  int error = errno;
  bool is = fstat(fd, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
  errno = error;
  return is;
}

/* What a task that must end has to say still goes out. */
bool gl_spin_makes_way(gl_layer *l, const gl_optype *type, int fd, short events) {
  if (!gl_preempt_is_due(l->host) || !counts_to(l, SERVED) || gl_layer_finalizes(l) || !is_stream(fd)) return true;
  if ((events & POLLOUT) && gl_scope_check(l->host->task) != GL_DONE) return true;
  gl_waited waited = gl_wait_for(l, type, fd, events, uv_hrtime() + REST_NS);
  if (waited == GL_WAITED_CLOSED) errno = EBADF;
  return waited == GL_WAITED_READY || waited == GL_WAITED_TIMEOUT || (waited == GL_WAITED_FAILED && errno != ECANCELED);
}
