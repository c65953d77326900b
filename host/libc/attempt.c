/* SPDX-License-Identifier: MIT */
#include "libc/attempt.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "libc/abandon.h"
#include "libc/exchange.h"
#include "libc/hold.h"
#include "libc/limit.h"
#include "libc/spin.h"

#define PAUSE_MS 10 /* between attempts at what looks ready, and is not */

bool gl_attempt_begin(gl_attempt *a, gl_layer *l, const gl_optype *type, int fd, short events) {
  *a = (gl_attempt){.layer = l, .type = type, .fd = fd, .events = events};
  a->option = (events & POLLOUT) ? SO_SNDTIMEO : SO_RCVTIMEO;
  gl_hold_await_descriptor(l, fd);
  if (gl_wait_is_barred(l, type)) return false;
  if (l->abandonments && (events & POLLIN) && gl_abandon_check(l, fd)) {
    errno = ECONNRESET;
    return false;
  }
  if (!gl_spin_makes_way(l, type, fd, events)) return false;
  if (type == &gl_recv_type || type == &gl_read_type) gl_exchange_listen(l, fd);
  if (type == &gl_send_type || type == &gl_write_type) gl_exchange_send(l, fd);
  return true;
}

bool gl_attempt_go_on(gl_attempt *a) {
  if (!a->waits) a->due = gl_limit_of_socket(a->fd, a->option);
  a->waits = true;
  bool misleads = a->tries++ > 1; /* ready, but not for this: a datagram socket whose peer's queue is full */
  gl_waited waited = misleads ? gl_wait_again(a->layer, a->type, PAUSE_MS, a->due) : gl_wait_for(a->layer, a->type, a->fd, a->events, a->due);
  if (waited == GL_WAITED_TIMEOUT) errno = EAGAIN;
  if (waited == GL_WAITED_CLOSED) errno = EBADF;
  return waited == GL_WAITED_READY;
}

bool gl_attempt_again(gl_attempt *a) {
  if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
  if (!a->at_once && gl_limit_blocks(a->fd)) return gl_attempt_go_on(a);
  gl_spin_goes_on(a->type, a->fd, a->events);
  return false;
}
