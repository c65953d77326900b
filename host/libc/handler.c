/* SPDX-License-Identifier: MIT */
#include "libc/handler.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "libc/layer.h"

#define STACK ((uintptr_t)8 << 20) /* bytes: no frame of a handler is further away from where the handler was called */

/* Where the innermost handler was called on this thread. A handler that leaves by siglongjmp leaves its mark behind, which is above
 * all later frames' reach as soon as they are not below it. */
static _Thread_local uintptr_t mark;

/* What C modules have installed. Read by the handler, and so written in whole words: the function first. */
static struct {
  _Atomic uintptr_t function;
  _Atomic bool three; /* it takes three arguments (SA_SIGINFO) */
} installed[NSIG];

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* the table and the kernel's change together */

bool gl_handler_runs(void) {
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  return mark && here < mark && mark - here < STACK;
}

static void on_signal(int signo, siginfo_t *info, void *context) {
  uintptr_t before = mark, function = installed[signo].function;
  if (!function) return;
  mark = (uintptr_t)__builtin_frame_address(0);
  if (installed[signo].three) ((void (*)(int, siginfo_t *, void *))function)(signo, info, context);
  else ((void (*)(int))function)(signo);
  mark = before;
}

/* Is it a handler to be called by ours? One of the host's own, which a module puts back, is installed as it is. */
static bool is_function(const struct sigaction *a) {
  return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN && !gl_layer_is_ours((void *)a->sa_handler);
}

/* Makes `old`, which the kernel has told, what the C module had installed. */
static void tell_installed(struct sigaction *old, uintptr_t function, bool three) {
  if (old->sa_sigaction != on_signal) return;
  if (three) old->sa_sigaction = (void (*)(int, siginfo_t *, void *))function;
  else old->sa_handler = (void (*)(int))function;
  if (!three) old->sa_flags &= ~SA_SIGINFO;
}

int gl_libc_sigaction(int signo, const struct sigaction *new, struct sigaction *old) {
  if (signo <= 0 || signo >= NSIG) return sigaction(signo, new, old);
  struct sigaction action, before;
  sigset_t all, mask_before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask_before); /* a handler that calls this must not find the mutex taken */
  pthread_mutex_lock(&changing);
  uintptr_t function = installed[signo].function;
  bool three = installed[signo].three;
  if (new) action = *new;
  if (new && is_function(new)) {
    installed[signo].three = (new->sa_flags & SA_SIGINFO) != 0;
    installed[signo].function = (uintptr_t)new->sa_handler;
    action.sa_sigaction = on_signal;
    action.sa_flags |= SA_SIGINFO;
  }
  int r = sigaction(signo, new ? &action : NULL, &before);
  int error = errno;
  if (r != 0 && new && is_function(new)) {
    installed[signo].three = three;
    installed[signo].function = function;
  }
  pthread_mutex_unlock(&changing);
  pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
  if (r == 0) tell_installed(&before, function, three);
  if (r == 0 && old) *old = before;
  errno = error;
  return r;
}

void (*gl_libc_signal(int signo, void (*handler)(int)))(int) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, signo);
  if (handler == SIG_ERR || signo <= 0 || signo >= NSIG) {
    errno = EINVAL;
    return SIG_ERR;
  }
  return gl_libc_sigaction(signo, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}
