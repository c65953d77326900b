/* SPDX-License-Identifier: MIT */
#include "core/preempt.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "core/scope.h"
#include "core/task.h"

#define SIGNAL SIGURG    /* ignored by default, and used by nothing else here */
#define TICK_MS 5        /* how often the watchdog looks: twice a slice */
#define IDLE_TICKS 40    /* ticks without a step after which the watchdog goes to sleep */
#define REPORT_FRAMES 12
#define MERCY 3          /* errors a doomed task may catch and go on, counted with the turns between */

struct gl_watchdog {
  pthread_t thread;      /* the watchdog's own */
  pthread_t watched;     /* the loop's */
  sem_t rouse;
  atomic_bool asleep, end;
  atomic_uint_fast64_t hogging; /* the step the signal is for */
  atomic_bool report;    /* tell where it is stuck, too */
  uint64_t reported;     /* the last step that was */
  uint64_t count;
  bool quiet;            /* no reports of stalls */
  lua_Hook user_hook;    /* what our hook replaced, to be put back */
  int user_mask, user_count;
};

static _Thread_local gl_host *watched_host; /* for the handler: the host this thread runs */

/* ---- on the loop's thread, in the signal handler ---- */

static void say(const char *text, int n) {
  if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0) return; /* nobody reads it: nothing to be done */
}

/* The state stands still in a C function; lua_getinfo with these letters reads and allocates nothing. */
static void report(lua_State *L) {
  char line[256];
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "S", &ar) || *ar.what != 'C') return; /* Lua code makes way */
  say(line, snprintf(line, sizeof line, "greenlua: stalled for more than %d ms in C:\n", GL_STALL_MS));
  for (int level = 0; level < REPORT_FRAMES && lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "nSl", &ar)) break;
    const char *name = ar.name ? ar.name : "?";
    int n = ar.currentline > 0 ? snprintf(line, sizeof line, "\t%.60s:%d: in %.60s\n", ar.short_src, ar.currentline, name)
                               : snprintf(line, sizeof line, "\t[C]: in %.60s\n", name);
    say(line, n < (int)sizeof line ? n : (int)sizeof line - 1);
  }
}

static void preempt_hook(lua_State *L, lua_Debug *ar);

static void on_signal(int signo) {
  (void)signo;
  gl_host *h = watched_host;
  if (!h || !h->watchdog || !h->running || h->steps != atomic_load(&h->watchdog->hogging)) return;
  struct gl_watchdog *w = h->watchdog;
  lua_State *L = h->running;
  if (atomic_exchange(&w->report, false) && !w->quiet) report(L);
  lua_Hook now = lua_gethook(L);
  if (now != preempt_hook) {
    w->user_hook = now;
    w->user_mask = lua_gethookmask(L);
    w->user_count = lua_gethookcount(L);
  }
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT | (w->user_hook ? w->user_mask : 0), 1);
}

/* ---- on the loop's thread, in the hook ---- */

/* Is it cancelled, past its deadline, or over its CPU limit? */
static bool is_doomed(const gl_task *t) {
  return gl_scope_check(t) != GL_DONE || (t->max_preempted && t->preempted > t->max_preempted);
}

static void doom(lua_State *L, gl_task *t) {
  gl_scope_raise(L, t, "preempt");
  gl_error_raise(L, "preempt", "ECPULIMIT", "the task used more CPU than its limit of %f s", (double)t->max_preempted * GL_SLICE_MS / 1000);
}

static void make_way(lua_State *L, gl_host *h) {
  gl_task *t = h->task;
  h->watchdog->count++;
  t->preempted++;
  if (L == h->running && lua_isyieldable(L)) {
    gl_host_make_way(h, t);
    h->awaiting = true;
    lua_yield(L, 0); /* takes effect when the hook returns */
  } else {
    gl_pause(h, t);
    if (is_doomed(t)) doom(L, t);
  }
}

/* A task that catches the error and goes on is let go on, once; then the hook stays, and raises at each
 * instruction until nothing is left that could catch it. */
static void preempt_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  lua_Hook user = w ? w->user_hook : NULL;
  if (ar->event != LUA_HOOKCOUNT) { /* an event the user's hook asked for */
    if (user) user(L, ar);
    return;
  }
  bool doomed = t && is_doomed(t);
  if (doomed && t->doomed > MERCY) doom(L, t);
  lua_sethook(L, user, user ? w->user_mask : 0, user ? w->user_count : 0);
  if (!w || !t || h->steps != atomic_load(&w->hogging)) return; /* it had made way by itself meanwhile */
  if (!doomed) t->doomed = 0;
  else if (t->doomed++ % 2 == 0) doom(L, t);
  make_way(L, h);
}

/* ---- the watchdog's thread ---- */

static void nap(void) {
  struct timespec tick = {0, TICK_MS * 1000000L};
  nanosleep(&tick, NULL);
}

static void watch(gl_host *h, struct gl_watchdog *w) {
  uint64_t last = 0;
  int same = 0, idle = 0;
  while (!atomic_load(&w->end)) {
    nap();
    uint64_t step = __atomic_load_n(&h->steps, __ATOMIC_RELAXED);
    bool busy = __atomic_load_n(&h->running, __ATOMIC_RELAXED) != NULL;
    same = busy && step == last ? same + 1 : 0;
    idle = !busy && step == last ? idle + 1 : 0;
    last = step;
    if (same * TICK_MS >= GL_SLICE_MS) {
      atomic_store(&w->hogging, step);
      if (same * TICK_MS >= GL_STALL_MS && w->reported != step) {
        w->reported = step;
        atomic_store(&w->report, true);
      }
      pthread_kill(w->watched, SIGNAL);
    }
    if (idle >= IDLE_TICKS) {
      atomic_store(&w->asleep, true);
      if (__atomic_load_n(&h->steps, __ATOMIC_SEQ_CST) != step) atomic_store(&w->asleep, false); /* it moved meanwhile */
      else while (sem_wait(&w->rouse) != 0) continue;
      idle = 0;
    }
  }
}

static void *watchdog_main(void *arg) {
  gl_host *h = arg;
  watch(h, h->watchdog);
  return NULL;
}

/* ---- starting and ending ---- */

void gl_preempt_rouse(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  if (w && atomic_load_explicit(&w->asleep, memory_order_relaxed) && atomic_exchange(&w->asleep, false)) sem_post(&w->rouse);
}

static void install_handler(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sa.sa_flags = SA_RESTART;
  sigfillset(&sa.sa_mask);
  sigaction(SIGNAL, &sa, NULL);
}

bool gl_preempt_start(gl_host *h) {
  struct gl_watchdog *w = calloc(1, sizeof *w);
  if (!w) return false;
  sem_init(&w->rouse, 0, 0);
  w->watched = pthread_self();
  watched_host = h;
  h->watchdog = w;
  install_handler();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  int err = pthread_create(&w->thread, NULL, watchdog_main, h);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (err == 0) return true;
  h->watchdog = NULL;
  sem_destroy(&w->rouse);
  free(w);
  return false;
}

void gl_preempt_stop(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  atomic_store(&w->end, true);
  sem_post(&w->rouse);
  pthread_join(w->thread, NULL);
  h->watchdog = NULL;
  watched_host = NULL;
  sem_destroy(&w->rouse);
  free(w);
}

void gl_preempt_report(gl_host *h, bool on) {
  if (h->watchdog) h->watchdog->quiet = !on;
}

uint64_t gl_preempt_count(const gl_host *h) { return h->watchdog ? h->watchdog->count : 0; }
