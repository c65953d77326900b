/* SPDX-License-Identifier: MIT */
#include "core/backstop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/stall.h"
#include "core/task.h"

#define LAST_WORDS_NS 1000000000u /* how long the loop's thread may take to say them */
#define AGAIN_NS 1000000000u      /* from a second signal to the end: who sends one does not want to wait */

static _Atomic(const gl_host *) armed; /* the host that the backstop is for; NULL = OFF */
static _Atomic uint64_t allowed;       /* ns from the first signal to the end */
static _Atomic uint64_t asked;         /* when the first signal came, ns; 0 = none came */
static _Atomic uint64_t asked_again;   /* when the second one came, ns; 0 = it has not */
static atomic_int asked_by;            /* the number of the first */
static atomic_bool expired_now;        /* EXPIRED */

static const int stopping[] = {SIGINT, SIGTERM};
static void (*chained[2])(int); /* the handlers that were there before, libuv's */

static void on_stop(int signo) {
  int saved = errno;
  uint64_t none = 0, now = uv_hrtime();
  if (atomic_compare_exchange_strong(&asked, &none, now)) atomic_store(&asked_by, signo);
  else if (!atomic_load(&asked_again)) atomic_store(&asked_again, now);
  chained[signo == SIGTERM](signo);
  errno = saved;
}

void gl_backstop_watch(int signo) {
  struct sigaction now;
  if (!atomic_load(&armed) || (signo != SIGINT && signo != SIGTERM) || sigaction(signo, NULL, &now) != 0) return;
  if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN || now.sa_handler == on_stop) return;
  chained[signo == SIGTERM] = now.sa_handler;
  now.sa_handler = on_stop;
  sigaction(signo, &now, NULL);
}

void gl_backstop_arm(gl_host *h, double seconds) {
  atomic_store(&asked, 0);
  atomic_store(&asked_again, 0);
  atomic_store(&allowed, (uint64_t)(seconds * 1e9));
  atomic_store(&armed, h);
  for (int i = 0; i < 2; i++) gl_backstop_watch(stopping[i]);
}

void gl_backstop_disarm(gl_host *h) {
  const gl_host *ours = h;
  atomic_compare_exchange_strong(&armed, &ours, NULL);
}

/* When the process ends, ns. */
static uint64_t end_of(uint64_t since) {
  uint64_t end = since + atomic_load(&allowed), again = atomic_load(&asked_again);
  return again && again + AGAIN_NS < end ? again + AGAIN_NS : end;
}

bool gl_backstop_look(const gl_host *h, bool *expired) {
  uint64_t since = atomic_load(&asked), now;
  *expired = false;
  if (atomic_load(&armed) != h || !since) return false;
  if ((now = uv_hrtime()) < end_of(since)) return true;
  if (now > end_of(since) + LAST_WORDS_NS) _exit(128 + atomic_load(&asked_by));
  *expired = true;
  atomic_store(&expired_now, true);
  return true;
}

void gl_backstop_last_words(gl_host *h) {
  static gl_stall words;
  char what[120];
  if (!atomic_load(&expired_now) || atomic_load(&armed) != h) return;
  int n = (int)((uv_hrtime() - atomic_load(&asked)) / 1000000000u);
  snprintf(what, sizeof what, "greenlua: told to stop, and %d s later this goes on%s\n", n, h->running ? ":" : " outside of Lua");
  gl_stall_report(&words, what, h->running, h->task ? h->task->id : 0, NULL);
  _exit(128 + atomic_load(&asked_by));
}
