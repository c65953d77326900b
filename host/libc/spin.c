/* SPDX-License-Identifier: MIT */
#include "libc/spin.h"

#include <errno.h>

#include "core/preempt.h"
#include "libc/wait.h"

#define TRIES 100       /* calls after the end of the slice: who is back in Lua between two of them makes way there */
#define REST_NS 1000000 /* what the next one waits, at most */

bool gl_spin_goes_on(const gl_optype *type, int fd, short events) {
  gl_layer *l = gl_layer_here;
  if (!l || !gl_preempt_is_due(l->host)) return true;
  uint64_t beat = gl_pulse_beats(&l->host->pulse);
  if (l->spin_beat != beat) l->spins = 0;
  l->spin_beat = beat;
  if (++l->spins < TRIES) return true;
  int error = errno;
  if (!gl_layer_now() || gl_layer_finalizes(l)) return true;
  bool goes_on = gl_wait_for(l, type, fd, events, uv_hrtime() + REST_NS) != GL_WAITED_FAILED || errno != ECANCELED;
  if (goes_on) errno = error;
  return goes_on;
}
