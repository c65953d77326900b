/* SPDX-License-Identifier: MIT */
#include "core/preempt.h"

#include <errno.h>
#include <fcntl.h>
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
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

#define SIGNAL SIGURG    /* ignored by default, and used by nothing else here */
#define TICK_MS 5        /* how often the watchdog looks: twice a slice */
#define BLOCKED_AFTER 4  /* ticks in the same step after which it is looked whether the thread sleeps */
#define IDLE_TICKS 40    /* ticks without a step after which the watchdog goes to sleep */
#define REPORT_FRAMES 12
#define MAX_GRACE 5000   /* instructions between two errors in a task that catches them all */
#define MAX_RAISED 2000  /* so many of them; then no instruction more */
#define CLEANUP (100 / GL_SLICE_MS) /* slices for the <close> variables of a task that was told to end */
#define MERCY 3          /* errors a doomed task may catch and go on, counted with the turns between */

/* A hook that a C module set, and ours replaced: to be put back. The user's own are in hook.c. */
typedef struct foreign_hook {
  lua_State *L;
  lua_Hook hook;
  int mask, count;
} foreign_hook;

struct gl_watchdog {
  pthread_t thread;      /* the watchdog's own */
  pthread_t watched;     /* the loop's */
  pid_t watched_id;
  clockid_t cpu;         /* counts its CPU time */
  sem_t rouse;
  atomic_bool asleep, end;
  atomic_uint_fast64_t hogging; /* the step the signal is for */
  atomic_bool report;    /* tell where it is stuck, too */
  uint64_t reported;     /* the last step that was */
  uint64_t count;
  bool quiet;            /* no reports of stalls */
  volatile bool asked;   /* the user's count hook is to make way */
  volatile uint64_t put_off; /* the step whose slice ended in an atomic section */
  volatile uint64_t section; /* id of the task in it, */
  volatile uint64_t section_began; /* and its CPU time, ms, when that was seen */
  uint32_t random;
  foreign_hook foreign;
};

static _Thread_local gl_host *watched_host; /* for the handler: the host this thread runs */

/* ---- on the loop's thread, in the signal handler ---- */

static void say(const char *text, int n) {
  if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0) return; /* nobody reads it: nothing to be done */
}

static void say_frames(lua_State *L) {
  char line[256];
  lua_Debug ar;
  for (int level = 0; level < REPORT_FRAMES && lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "nSl", &ar)) break;
    const char *name = ar.name ? ar.name : "?";
    int n = ar.currentline > 0 ? snprintf(line, sizeof line, "\t%.60s:%d: in %.60s\n", ar.short_src, ar.currentline, name)
                               : snprintf(line, sizeof line, "\t[C]: in %.60s\n", name);
    say(line, n < (int)sizeof line ? n : (int)sizeof line - 1);
  }
}

/* The state stands still in a C function; lua_getinfo with these letters reads and allocates nothing. */
static void report(lua_State *L) {
  char line[256];
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "S", &ar) || *ar.what != 'C') return; /* Lua code makes way */
  say(line, snprintf(line, sizeof line, "greenlua: stalled for more than %d ms in C:\n", GL_STALL_MS));
  say_frames(L);
}

static void preempt_hook(lua_State *L, lua_Debug *ar);

/* Sets the hook on the coroutine that runs. Also called from the signal handler. */
static void set_hook(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  lua_State *L = h->running;
  lua_Hook now = lua_gethook(L);
  if (now == preempt_hook) return; /* setting a hook visits every frame: with 200,000 of them that takes a tick, and so on */
  if (now == gl_hook_event && (lua_gethookmask(L) & LUA_MASKCOUNT)) {
    w->asked = true;
    return;
  }
  if (now != gl_hook_event) { /* of a C module, or none */
    w->foreign = (foreign_hook){L, now, lua_gethookmask(L), lua_gethookcount(L)};
  }
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT | lua_gethookmask(L), 1);
}

/* Slices are CPU time: on a machine with more to do than it has CPUs, a task is no hog because the clock went on. */
static uint64_t cpu_ms(const struct gl_watchdog *w) {
  struct timespec t = {0, 0};
  clock_gettime(w->cpu, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Is it in an atomic section that may go on for some time yet? Its slice then ends when it leaves. For the handler, too. */
static bool is_put_off(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  const gl_task *t = h->task;
  if (!t || !t->atomic || t->overlong) return false;
  uint64_t now = cpu_ms(w);
  if (w->section != t->id) {
    w->section = t->id;
    w->section_began = now;
  }
  if (now - w->section_began >= GL_ATOMIC_MS) return false;
  w->put_off = h->steps;
  return true;
}

static void on_signal(int signo) {
  (void)signo;
  gl_host *h = watched_host;
  if (!h || !h->watchdog || !h->running || h->steps != atomic_load(&h->watchdog->hogging)) return;
  struct gl_watchdog *w = h->watchdog;
  bool others = h->census.tasks > 1 || h->holds > 0; /* it holds nobody up else: as in lua, no news */
  if (atomic_exchange(&w->report, false) && !w->quiet && others) report(h->running);
  if (!is_put_off(h)) set_hook(h);
}

/* ---- on the loop's thread, in the hook ---- */

/* Is it cancelled, past its deadline, or over its CPU limit? */
static bool is_doomed(const gl_task *t) {
  return gl_scope_check(t) != GL_DONE || (t->max_preempted && t->preempted > t->max_preempted);
}

void gl_preempt_tell(gl_task *t) {
  if (t->told) return;
  t->told = true;
  t->cleanup = CLEANUP;
}

void gl_preempt_forgive(gl_task *t) {
  if ((!t->told && !t->doomed) || is_doomed(t) || gl_scope_shields(t)) return;
  t->told = false;
  t->cleanup = 0;
  t->doomed = 0;
}

static void doom(lua_State *L, gl_task *t) {
  gl_scope_raise(L, t, "preempt");
  gl_preempt_tell(t);
  gl_error_raise(L, "preempt", "ECPULIMIT", "the task used more CPU than its limit of %f s", (double)(t->cpu_slices - 1) * GL_SLICE_MS / 1000);
}

static bool is_plain(const gl_host *h, lua_State *L) { return L == h->running && lua_isyieldable(L); }

/* Not by yielding when the user has a hook: Lua would tell it a call twice, count anew, or call it with the yield under way. */
static void make_way(lua_State *L, gl_host *h, bool hooked) {
  gl_task *t = h->task;
  h->watchdog->count++;
  t->preempted++;
  if (!hooked && is_plain(h, L)) {
    gl_host_make_way(h, t);
    h->awaiting = true;
    lua_yield(L, 0); /* takes effect when the hook returns */
  } else {
    gl_pause(h, t);
    if (is_doomed(t) && !t->cleanup) doom(L, t);
  }
}

static void report_overlong(lua_State *L) {
  char line[96];
  say(line, snprintf(line, sizeof line, "greenlua: task.atomic holds everybody up for more than %d ms: it is preempted now\n", GL_ATOMIC_MS));
  say_frames(L);
}

/* A task that catches the error and goes on is let go on for a turn; and at first for some, for what it has to clean up. */
static void end_slice(lua_State *L, gl_host *h, bool hooked) {
  gl_task *t = h->task;
  if (t->atomic && !t->overlong) {
    t->overlong = true;
    if (!h->watchdog->quiet) report_overlong(L);
  }
  if (is_doomed(t)) {
    if (t->cleanup) t->cleanup--;
    else if (t->doomed++ % 2 == 0) doom(L, t);
  } else {
    gl_preempt_forgive(t);
  }
  make_way(L, h, hooked);
}

/* Instructions until the next error: at random; in the end 1, which no nest of loops survives. */
static int grace(struct gl_watchdog *w, gl_task *t) {
  if (t->doomed > MERCY + MAX_RAISED) return 1;
  t->doomed++;
  w->random ^= w->random << 13;
  w->random ^= w->random >> 17;
  w->random ^= w->random << 5;
  return (int)(w->random % MAX_GRACE) + 1;
}

/* It caught whatever was raised: from now on it is raised at again and again, after a random number of instructions.
 * That leaves a <close> variable the time to do its work, and sooner or later finds a loop around a pcall outside
 * of that pcall. True: this is not (or no longer) so. */
static bool is_spared(lua_State *L, gl_host *h, bool hogs) {
  gl_task *t = h->task;
  bool doomed = is_doomed(t);
  if (!doomed && !gl_scope_shields(t)) return true;
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT, grace(h->watchdog, t));
  if (hogs) make_way(L, h, true);
  else if (doomed) doom(L, t);
  return false;
}

static void put_back(lua_State *L, struct gl_watchdog *w) {
  foreign_hook *f = &w->foreign;
  if (f->L == L && f->hook) lua_sethook(L, f->hook, f->mask, f->count);
  else gl_hook_restore(L);
  if (f->L == L) f->L = NULL;
}

/* Over a yield ours stays, until the second instruction after it: Lua marks the call that yielded in a hook, and drops
 * its next event for it. With no hook set when it goes on, that would be the first event of the user's next one. */
static bool stays(lua_State *L, gl_host *h) {
  foreign_hook *f = &h->watchdog->foreign;
  if (!is_plain(h, L) || is_doomed(h->task) || (f->L == L && f->hook) || gl_hook_is_set(L)) return false;
  if (f->L == L) f->L = NULL;
  return true;
}

static void preempt_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  if (!w) {
    gl_hook_restore(L);
    return;
  }
  if (ar->event != LUA_HOOKCOUNT) { /* an event the user's hook asked for */
    if (w->foreign.L == L && w->foreign.hook) w->foreign.hook(L, ar);
    else gl_hook_event(L, ar);
    return;
  }
  bool hogs = t && h->steps == atomic_load(&w->hogging); /* else it had made way by itself meanwhile */
  if (is_put_off(h)) {
    put_back(L, w);
    return;
  }
  if (t && t->doomed > MERCY && !is_spared(L, h, hogs)) return;
  if (!hogs || !stays(L, h)) put_back(L, w);
  if (hogs) end_slice(L, h, lua_gethook(L) && lua_gethook(L) != preempt_hook);
}

void gl_preempt_if_asked(lua_State *L) {
  struct gl_watchdog *w = gl_host_of(L)->watchdog;
  if (!w || !w->asked) return;
  w->asked = false;
  gl_preempt_check(L);
}

bool gl_preempt_check(lua_State *L) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  if (!w || !t || h->steps != atomic_load_explicit(&w->hogging, memory_order_relaxed)) return false;
  if (lua_gc(L, LUA_GCCOUNT, 0) < 0 || is_put_off(h)) return false; /* in a finalizer nobody waits */
  if (t->doomed <= MERCY || is_spared(L, h, true)) end_slice(L, h, true);
  return true;
}

void gl_preempt_resume(gl_task *t) {
  gl_host *h = t->host;
  struct gl_watchdog *w = h->watchdog;
  t->overlong = false;
  if (!w) return;
  bool due = w->put_off == h->steps && h->task == t && h->running;
  w->section = w->put_off = 0;
  if (due) set_hook(h);
}

bool gl_preempt_is_hook(lua_Hook hook) { return hook == preempt_hook; }

void gl_preempt_follow(lua_State *L) {
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  if (!h->watchdog || !t || t->doomed <= MERCY || !is_doomed(t)) return;
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT, grace(h->watchdog, t));
}

/* ---- the watchdog's thread ---- */

/* One tick; the semaphore cuts it short only at the end. */
static void nap(struct gl_watchdog *w) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += TICK_MS * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  while (sem_clockwait(&w->rouse, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR) continue;
}

/* Does the loop's thread sleep in a system call, rather than wait for a CPU? */
static bool is_blocked(const struct gl_watchdog *w) {
  char stat[512];
  snprintf(stat, sizeof stat, "/proc/self/task/%d/stat", (int)w->watched_id);
  int fd = open(stat, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
  if (fd >= 0) close(fd);
  stat[n > 0 ? n : 0] = '\0';
  const char *name_end = strrchr(stat, ')');
  return name_end && name_end[1] == ' ' && name_end[2] != 'R';
}

static void watch(gl_host *h, struct gl_watchdog *w) {
  uint64_t last = 0, since = 0;
  int same = 0, idle = 0, blocked = 0;
  while (!atomic_load(&w->end)) {
    nap(w);
    uint64_t step = __atomic_load_n(&h->steps, __ATOMIC_RELAXED);
    bool busy = __atomic_load_n(&h->running, __ATOMIC_RELAXED) != NULL;
    same = busy && step == last ? same + 1 : 0;
    idle = !busy && step == last ? idle + 1 : 0;
    last = step;
    if (busy && same == 0) since = cpu_ms(w);
    uint64_t spent = same ? cpu_ms(w) - since : 0;
    if (same == 0) blocked = 0;
    else if (same > BLOCKED_AFTER && is_blocked(w)) blocked++;
    bool stalled = same * TICK_MS >= GL_STALL_MS && (spent >= GL_STALL_MS || blocked > same / 2);
    if (stalled || spent >= GL_SLICE_MS - 1) { /* both are whole ms, cut off */
      atomic_store(&w->hogging, step);
      if (stalled && w->reported != step) {
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
  w->random = 2463534242u;
  w->watched = pthread_self();
  w->watched_id = gettid();
  if (pthread_getcpuclockid(w->watched, &w->cpu) != 0) w->cpu = CLOCK_MONOTONIC;
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
