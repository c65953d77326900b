/* SPDX-License-Identifier: MIT
 *
 * close and its like do not wait. They wake the tasks that wait for what is closed, which nothing else would ever do.
 */
#include <fcntl.h>
#include <unistd.h>

#include "libc/abandon.h"
#include "libc/calls.h"
#include "libc/exchange.h"
#include "libc/handler.h"
#include "libc/wait.h"

/* Tells those who wait for descriptors first..last of this process that these are about to be closed. */
static void tell(unsigned int first, unsigned int last) {
  gl_layer *l = gl_layer_here;
  if (!l || l->host->forked || gl_handler_runs()) return;
  gl_exchange_close(l, first, last);
  if (l->abandonments && gl_layer_is_home(l)) gl_abandon_close(l, first, last);
  if (!l->watcher) return;
  unsigned int end = (unsigned int)gl_watch_end(l->watcher);
  for (unsigned int fd = first; fd < end && fd <= last; fd++) {
    if (!gl_watch_has(l->watcher, (int)fd)) continue;
    if (!gl_layer_is_home(l)) return;
    gl_watch_closed(l->watcher, (int)fd);
  }
}

int gl_libc_close(int fd) {
  if (fd >= 0) tell((unsigned int)fd, (unsigned int)fd);
  return close(fd);
}

int gl_libc_close_range(unsigned int first, unsigned int last, int flags) {
  if (!(flags & CLOSE_RANGE_CLOEXEC)) tell(first, last);
  return close_range(first, last, flags);
}

/* Tells those who wait for `to` that it is about to become `from`, if that is going to succeed. */
static void tell_replaced(int from, int to) {
  const gl_layer *l = gl_layer_here;
  if (from == to || to < 0 || !l) return;
  if (fcntl(from, F_GETFD) >= 0) tell((unsigned int)to, (unsigned int)to);
}

int gl_libc_dup2(int from, int to) {
  tell_replaced(from, to);
  return dup2(from, to);
}

int gl_libc_dup3(int from, int to, int flags) {
  tell_replaced(from, to);
  return dup3(from, to, flags);
}
