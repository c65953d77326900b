/* SPDX-License-Identifier: MIT */
#include "core/preempt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/check.h"
#include "core/error.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/safepoint.h"
#include "core/scope.h"
#include "core/stall.h"
#include "core/task.h"

#define SIGNAL SIGURG    /* ignored by default, and used by nothing else here */
#define TICK_MS 5        /* how often the watchdog looks: twice a slice */
#define BLOCKED_AFTER 4  /* ticks in the same step after which the watchdog looks whether the thread sleeps */
#define HOG_US ((GL_SLICE_MS - 1) * 1000) /* the first tick of a step may come late */
#define AWAKE_US 500     /* CPU time after which a thread has left the system call that it slept in */
#define REPEAT 4         /* ticks between two signals in the same step */
#define IDLE_TICKS 40    /* ticks without a step after which the watchdog goes to sleep */
#define MAX_KILL_DELAY 5000   /* instructions between two errors in a task that catches them all */
#define MAX_KILLS 2000  /* so many errors at random; then one at every instruction */
#define MAX_WAIT 10000        /* instructions without a loop after which an error that is due waits for none; */
#define SLICE_WAIT (MAX_WAIT / 8) /* a slice used up meanwhile counts as so many of them */
#define MAX_CAUGHT 3          /* errors a doomed task may catch and go on, counted with the turns between */

#define STRING(n) #n
#define NUMBER(n) STRING(n)
#define STALLED "greenlua: stalled for more than " NUMBER(GL_STALL_MS) " ms in C"
#define OVERLONG "greenlua: task.atomic holds everybody up for more than " NUMBER(GL_ATOMIC_MS) " ms: it is preempted now\n"

/* A hook that a C module had set where preempt_hook is now, to be put back. Hooks of the script are in hook.c. */
typedef struct foreign_hook {
  lua_State *L;
  lua_Hook hook;
  int mask, count;
} foreign_hook;

struct gl_watchdog {
  pthread_t thread;      /* the watchdog's own */
  pthread_t watched;     /* the loop's thread, */
  pid_t watched_id;      /* its id for the kernel, */
  clockid_t cpu;         /* and the clock that counts its CPU time */
  atomic_bool end;       /* the watchdog's thread must end */
  atomic_uint_fast64_t overrun; /* the step that the signal is for: its slice is used up */
  atomic_bool report;    /* the handler must report where the step stands, too */
  atomic_bool late;      /* the step stood where no signal may come: the handler must report where it came back to */
  uint64_t reported;     /* the last step that was reported */
  _Atomic uint64_t hooked_in;      /* the step in which the last signal has set the hook, */
  _Atomic(lua_State *) hooked_on;  /* and the coroutine: another signal need not come at once */
  gl_stall stalls;       /* reports by the handler, on the loop's thread */
  gl_stall blocks;       /* reports by the watchdog's thread */
  uint64_t count;        /* slices used up by all tasks */
  atomic_bool quiet;     /* stalls are not reported */
  volatile bool asked;   /* the script has a count hook: the slice ends when that was called (on_user_hook) */
  volatile uint64_t deferred_beat; /* the step whose slice ended in an atomic section */
  volatile uint64_t section; /* id of the task in an atomic section, */
  volatile uint64_t section_began; /* and the CPU time, us, at which the section was first seen */
  uint32_t random;       /* state of the generator behind next_kill */
  foreign_hook foreign;
};

static _Thread_local gl_host *watched_host; /* the host that this thread runs, for the handler */

/* ---- on the loop's thread, in the signal handler ---- */

static void preempt_hook(lua_State *L, lua_Debug *ar);

/* Sets the hook on the running coroutine. The signal handler calls this, too. */
static void set_preempt_hook(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  lua_State *L = h->running;
  lua_Hook now = lua_gethook(L);
  atomic_store_explicit(&w->hooked_on, L, memory_order_relaxed);
  atomic_store_explicit(&w->hooked_in, gl_pulse_beats(&h->pulse), memory_order_relaxed);
  if (now == preempt_hook) return; /* setting a hook visits every frame: with 200,000 of them that takes a tick, and the next signal comes meanwhile */
  if (now == gl_hook_event && (lua_gethookmask(L) & LUA_MASKCOUNT)) {
    w->asked = true;
    return;
  }
  if (now != gl_hook_event) { /* a hook of a C module, or none */
    w->foreign = (foreign_hook){L, now, lua_gethookmask(L), lua_gethookcount(L)};
  }
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT | lua_gethookmask(L), 1);
}

/* Slices are CPU time: on a machine with more to do than it has CPUs, a task has not used up its slice because the clock went on. */
static uint64_t cpu_us(const struct gl_watchdog *w) {
  struct timespec t = {0, 0};
  clock_gettime(w->cpu, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Is the running task in an atomic section that may go on for a while? The slice then ends when the task leaves the section. The
 * signal handler calls this, too. */
static bool defers_preemption(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  const gl_task *t = h->task;
  if (!t || !t->atomic || t->overlong) return false;
  uint64_t now = cpu_us(w);
  if (w->section != t->id) {
    w->section = t->id;
    w->section_began = now;
  }
  if (now - w->section_began >= GL_ATOMIC_MS * 1000) return false;
  w->deferred_beat = gl_pulse_beats(&h->pulse);
  return true;
}

/* Would a stall hold up anybody else? If not, the script stalls as under lua, and that is no news. The watchdog calls this, too. */
static bool holds_up(const gl_host *h) {
  return __atomic_load_n(&h->census.tasks, __ATOMIC_RELAXED) > 1 || __atomic_load_n(&h->holds, __ATOMIC_RELAXED) > 0;
}

static void on_signal(int signo) {
  (void)signo;
  gl_host *h = watched_host;
  if (!h || !h->watchdog || !h->running || gl_pulse_beats(&h->pulse) != atomic_load(&h->watchdog->overrun)) return;
  struct gl_watchdog *w = h->watchdog;
  bool reports = !w->quiet && holds_up(h);
  if (atomic_exchange(&w->report, false) && reports && gl_stall_in_c(h->running)) gl_stall_report(&w->stalls, STALLED ":\n", h->running);
  if (atomic_exchange(&w->late, false) && reports) gl_stall_report(&w->stalls, STALLED ", which came back to:\n", h->running);
  if (!defers_preemption(h)) set_preempt_hook(h);
}

/* ---- on the loop's thread, in the hook ---- */

static void raise_end(lua_State *L, gl_task *t) {
  gl_scope_raise(L, t, "preempt");
  gl_scope_request_end(t);
  char limit[16]; /* lua_pushfstring would write 14 digits of it */
  snprintf(limit, sizeof limit, "%g", (double)t->cpu_limit);
  gl_error_raise(L, "preempt", "ECPULIMIT", "the task used more CPU than its limit of %s s", limit);
}

/* Puts the hook back that was on L before: of a C module, of the script, or none. */
static void unhook(lua_State *L, struct gl_watchdog *w) {
  foreign_hook *f = &w->foreign;
  if (f->L == L && f->hook) lua_sethook(L, f->hook, f->mask, f->count);
  else gl_hook_restore(L);
  if (f->L == L) f->L = NULL;
}

/* Instructions until the next error: a random number; in the end 1. */
static int next_kill(struct gl_watchdog *w, gl_task *t) {
  if (t->kill_count > MAX_CAUGHT + MAX_KILLS) return 1;
  t->kill_count++;
  w->random ^= w->random << 13;
  w->random ^= w->random >> 17;
  w->random ^= w->random << 5;
  return (int)(w->random % MAX_KILL_DELAY) + 1;
}

/* Raises the error that is due, if nothing is lost by it here (core/safepoint.h), or if it has waited for long. `ar` = NULL: in C,
 * where nothing is lost. */
static void raise_if_safe(lua_State *L, gl_host *h, const lua_Debug *ar, bool overdue) {
  gl_task *t = h->task;
  gl_safepoint at = ar ? gl_safepoint_next(ar) : GL_POINT_REPEATS;
  if (at == GL_POINT_TAKES) return;
  if (at == GL_POINT_PLAIN && !overdue && --t->raise_in > 0) return;
  t->raise_in = 0;
  if (!t->end_requested && ar && gl_safepoint_closes(L)) {
    gl_scope_request_end(t); /* as if it had been raised before */
    return;
  }
  if (t->kill_count > MAX_CAUGHT) lua_sethook(L, preempt_hook, LUA_MASKCOUNT, next_kill(h->watchdog, t));
  else if (lua_gethook(L) == preempt_hook) unhook(L, h->watchdog);
  raise_end(L, t);
}

/* Raises the error that is due here, or has preempt_hook raise it at one of the next instructions. False: neither, since the
 * script or a C module has a hook. */
static bool raise_soon(lua_State *L, gl_host *h, const lua_Debug *ar) {
  gl_task *t = h->task;
  bool hooked = lua_gethook(L) && lua_gethook(L) != preempt_hook;
  t->raise_in = t->kill_count > MAX_CAUGHT + MAX_KILLS ? 1 : MAX_WAIT;
  gl_safepoint_init(L);
  raise_if_safe(L, h, ar, hooked);
  if (hooked) t->raise_in = 0;
  if (!t->raise_in) return false;
  gl_pulse_beat(&h->pulse); /* the wait for a safe point has slices of its own: the one that has ended says nothing about it */
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT, 1);
  return true;
}

/* May the hook yield on L: is L the coroutine that the host knows to be running, outside of C calls that cannot be left? */
static bool can_yield(const gl_host *h, lua_State *L) { return L == h->running && lua_isyieldable(L); }

/* Lets all other ready tasks run, and counts a slice. Does not yield where the script has a hook (`hooked`): Lua would report a
 * call twice, count anew, or call that hook with the yield under way. */
static void preempt_yield(lua_State *L, gl_host *h, const lua_Debug *ar, bool hooked) {
  gl_task *t = h->task;
  h->watchdog->count++;
  t->slices++;
  if (!hooked && can_yield(h, L)) {
    gl_host_ready_last(h, t);
    h->awaiting = true;
    lua_yield(L, 0); /* takes effect when the hook returns */
  } else {
    gl_pause(h, t);
    if (gl_scope_must_end(t) && !t->cleanup_slices && !t->raise_in) raise_soon(L, h, ar);
  }
}

/* Ends a slice. Raises in a task that must end, on alternate slices, and not during the slices for its clean-up. */
static void end_slice(lua_State *L, gl_host *h, const lua_Debug *ar, bool hooked) {
  gl_task *t = h->task;
  if (t->atomic && !t->overlong) {
    t->overlong = true;
    if (!h->watchdog->quiet) gl_stall_report(&h->watchdog->stalls, OVERLONG, L);
  }
  if (gl_scope_must_end(t)) {
    if (t->cleanup_slices) t->cleanup_slices--;
    else if (t->kill_count++ % 2 == 0 && raise_soon(L, h, ar)) return;
  } else {
    gl_scope_retract_end(t);
  }
  preempt_yield(L, h, ar, hooked);
}

/* The running task has caught whatever was raised, and must end: raises in it again and again, each time after a random number
 * of instructions. That leaves a <close> variable the time to do its work, and sooner or later the error meets a loop around
 * a pcall outside of that pcall. True: the task need not end (any more), and nothing has happened. */
static bool is_spared(lua_State *L, gl_host *h, const lua_Debug *ar, bool overran) {
  gl_task *t = h->task;
  bool must_end = gl_scope_must_end(t);
  if (!must_end && !gl_scope_shields(t)) return true;
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT, next_kill(h->watchdog, t));
  if (overran) preempt_yield(L, h, ar, true);
  else if (must_end) raise_soon(L, h, ar);
  return false;
}

/* Must preempt_hook stay on L over the yield?
 *
 *     hook runs: lua_yield    Lua marks the call (CIST_HOOKYIELD)
 *     resumed                 Lua drops the next hook event of the marked call, whichever hook is set by then
 *     1st instruction after   with preempt_hook still set, its count event is what is dropped
 *     2nd instruction after   preempt_hook runs, sees that the slice did not end, and unhooks itself
 *
 * Without it the dropped event would be the first one of the hook that the script sets next. Where another hook has to be put
 * back, or an error raised, it does not stay. */
static bool stays_hooked(lua_State *L, gl_host *h) {
  foreign_hook *f = &h->watchdog->foreign;
  if (!can_yield(h, L) || gl_scope_must_end(h->task) || (f->L == L && f->hook) || gl_hook_is_set(L)) return false;
  if (f->L == L) f->L = NULL;
  return true;
}

/* Raises the error that waits for a safe point, if this is one, and otherwise ends the slice when that is used up. False: no error
 * is due any more, as it was raised in a wait, or its scope was left. */
static bool raise_at_safepoint(lua_State *L, gl_host *h, const lua_Debug *ar, bool overran) {
  gl_task *t = h->task;
  if (!gl_scope_must_end(t) || t->cleanup_slices) {
    t->raise_in = 0;
    return false;
  }
  if (overran) t->raise_in = t->raise_in > SLICE_WAIT ? t->raise_in - SLICE_WAIT : 1;
  raise_if_safe(L, h, ar, false);
  if (t->raise_in && overran) preempt_yield(L, h, ar, false);
  return t->raise_in > 0;
}

static void preempt_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  if (!w) {
    gl_hook_restore(L);
    return;
  }
  if (ar->event != LUA_HOOKCOUNT) { /* an event for the hook that was on L before */
    if (w->foreign.L == L && w->foreign.hook) w->foreign.hook(L, ar);
    else gl_hook_event(L, ar);
    return;
  }
  bool overran = t && gl_pulse_beats(&h->pulse) == atomic_load(&w->overrun); /* false: the task has waited since the signal */
  if (defers_preemption(h)) {
    unhook(L, w);
    return;
  }
  if (t && h->fault.ender == t) {
    h->fault.ender = NULL;
    t->cancelled = true;
    unhook(L, w);
    if (gl_scope_must_end(t) && !t->cleanup_slices) raise_soon(L, h, ar);
    return;
  }
  if (t && t->raise_in && raise_at_safepoint(L, h, ar, overran)) return;
  if (t && t->kill_count > MAX_CAUGHT && !is_spared(L, h, ar, overran)) return;
  if (!overran || !stays_hooked(L, h)) unhook(L, w);
  if (overran) end_slice(L, h, ar, lua_gethook(L) && lua_gethook(L) != preempt_hook);
}

/* Ends the slice if it is used up. Called in a loop in C (`ar` = NULL), or in a hook of the script. */
static bool check_slice(lua_State *L, const lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  if (!w || !t || gl_pulse_beats(&h->pulse) != atomic_load_explicit(&w->overrun, memory_order_relaxed)) return false;
  if (lua_gc(L, LUA_GCCOUNT, 0) < 0 || defers_preemption(h)) return false; /* in a finalizer nobody waits */
  if (t->kill_count <= MAX_CAUGHT || is_spared(L, h, ar, true)) end_slice(L, h, ar, true);
  return true;
}

bool gl_preempt_check(lua_State *L) { return check_slice(L, NULL); }

/* A count hook of the user's was called, in which preempt_hook could not be set. */
static void on_user_hook(lua_State *L, const lua_Debug *ar) {
  struct gl_watchdog *w = gl_host_of(L)->watchdog;
  if (!w || !w->asked) return;
  w->asked = false;
  check_slice(L, ar);
}

void gl_preempt_end_at(lua_State *L, int n) {
  gl_host *h = gl_host_of(L);
  h->fault.ender = n ? h->task : NULL;
  if (n) lua_sethook(L, preempt_hook, LUA_MASKCOUNT, n);
}

/* The task has left its outermost atomic section: a slice that ended in there ends now. */
static void on_atomic_section_left(gl_task *t) {
  gl_host *h = t->host;
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  bool due = w->deferred_beat == gl_pulse_beats(&h->pulse) && h->task == t && h->running;
  w->section = w->deferred_beat = 0;
  if (due) set_preempt_hook(h);
}

void gl_preempt_follow(lua_State *L) {
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  if (!h->watchdog || !t || t->kill_count <= MAX_CAUGHT || !gl_scope_must_end(t)) return;
  lua_sethook(L, preempt_hook, LUA_MASKCOUNT, next_kill(h->watchdog, t));
}

/* ---- the watchdog's thread ---- */

/* Sleeps for one tick, or until the host wakes the watchdog to end it. */
static void sleep_tick(gl_host *h) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += TICK_MS * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  while (sem_clockwait(&h->pulse.wake, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR) continue;
}

/* Reads one line of /proc about the loop's thread. False: it cannot be read. */
static bool read_proc(const struct gl_watchdog *w, const char *name, char *out, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)w->watched_id, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
  if (fd >= 0) close(fd);
  out[n > 0 ? n : 0] = '\0';
  return n > 0;
}

/* Does the loop's thread sleep in a system call, rather than wait for a CPU? */
static bool is_blocked(const struct gl_watchdog *w) {
  char stat[512];
  if (!read_proc(w, "stat", stat, sizeof stat)) return false;
  const char *name_end = strrchr(stat, ')');
  return name_end && name_end[1] == ' ' && name_end[2] != 'R';
}

static bool is_socket(unsigned long fd) {
  struct stat st;
  return fstat((int)fd, &st) != 0 || S_ISSOCK(st.st_mode);
}

/* Does the kernel restart the system call that the thread sleeps in after a signal? It does not restart most of those with a time
 * limit (sleep, poll, select, calls on sockets that have one): they fail with EINTR, which foreign code may not expect. */
static bool may_be_interrupted(const struct gl_watchdog *w) {
  char line[256];
  long number;
  unsigned long first;
  if (!read_proc(w, "syscall", line, sizeof line) || sscanf(line, "%ld 0x%lx", &number, &first) != 2) return false;
  switch (number) {
    case SYS_read: case SYS_readv: case SYS_write: case SYS_writev: return !is_socket(first);
    case SYS_futex: case SYS_wait4: case SYS_waitid: case SYS_flock: case SYS_fsync: case SYS_fdatasync: case SYS_openat: return true;
    default: return false;
  }
}

/* What the watchdog has seen of one step, tick by tick. */
typedef struct sight {
  uint64_t step;
  int same, blocked; /* ticks in the step; ticks in which the thread slept */
  int signals;       /* ticks since the last signal */
  uint64_t since;    /* CPU time when the step began, us */
  uint64_t slept;    /* CPU time when the thread was last seen asleep, or the step began, us */
} sight;

/* Is the thread within a system call that a signal would cut short? A thread that was woken may still be in the call, waiting for
 * a CPU: it counts as out of the call once it has used some CPU time. */
static bool is_out_of_reach(const struct gl_watchdog *w, sight *s, uint64_t now) {
  bool sleeps = is_blocked(w);
  if (sleeps) {
    s->slept = now;
    s->blocked++;
  }
  return sleeps ? !may_be_interrupted(w) : now - s->slept < AWAKE_US;
}

/* Signals the thread, whose step takes too long, and has a stall reported. A thread that is out of reach gets no signal: that
 * would end the call it sleeps in. */
static void signal_thread(gl_host *h, struct gl_watchdog *w, sight *s, bool out_of_reach, bool stalled) {
  bool news = stalled && w->reported != s->step;
  if (out_of_reach) {
    if (!news) return;
    w->reported = s->step;
    if (w->quiet || !holds_up(h)) return;
    gl_stall_report(&w->blocks, STALLED ":\n\t[C]: in a system call that must not be interrupted\n", NULL);
    atomic_store(&w->late, true);
    return;
  }
  if (news) {
    w->reported = s->step;
    atomic_store(&w->report, true);
  }
  bool hooked = atomic_load_explicit(&w->hooked_in, memory_order_relaxed) == s->step &&
                atomic_load_explicit(&w->hooked_on, memory_order_relaxed) == __atomic_load_n(&h->running, __ATOMIC_RELAXED);
  if (hooked && !news && ++s->signals % REPEAT) return;
  pthread_kill(w->watched, SIGNAL);
}

/* One look of the watchdog at the loop's thread. */
static void look_at_step(gl_host *h, struct gl_watchdog *w, sight *s, bool busy, uint64_t step) {
  s->same = busy && step == s->step ? s->same + 1 : 0;
  s->step = step;
  if (!s->same) {
    s->blocked = s->signals = 0;
    if (busy) s->since = s->slept = cpu_us(w);
    if (atomic_load_explicit(&w->late, memory_order_relaxed)) atomic_store(&w->late, false); /* the step is over: there is no place to report */
    return;
  }
  uint64_t now = cpu_us(w), spent = now - s->since;
  if (s->same <= BLOCKED_AFTER && spent < HOG_US) return;
  bool out_of_reach = is_out_of_reach(w, s, now);
  bool stalled = s->same * TICK_MS >= GL_STALL_MS && (spent >= GL_STALL_MS * 1000 || s->blocked > s->same / 2);
  if (!stalled && spent < HOG_US) return;
  atomic_store(&w->overrun, step);
  signal_thread(h, w, s, out_of_reach, stalled);
}

static void watchdog_loop(gl_host *h, struct gl_watchdog *w) {
  sight s = {0};
  int idle = 0;
  while (!atomic_load(&w->end)) {
    sleep_tick(h);
    uint64_t step = gl_pulse_beats(&h->pulse);
    bool busy = __atomic_load_n(&h->running, __ATOMIC_RELAXED) != NULL;
    idle = !busy && step == s.step ? idle + 1 : 0;
    look_at_step(h, w, &s, busy, step);
    if (idle < IDLE_TICKS) continue;
    gl_pulse_sleep(&h->pulse, step);
    idle = 0;
  }
}

static void *watchdog_main(void *arg) {
  gl_host *h = arg;
  watchdog_loop(h, h->watchdog);
  return NULL;
}

/* ---- starting and ending ---- */

static void install_handler(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sa.sa_flags = SA_RESTART;
  sigfillset(&sa.sa_mask);
  sigaction(SIGNAL, &sa, NULL);
}

/* Makes `w` watch the calling thread. False: no thread is to be had, and `w` is freed. */
static bool start_watchdog(gl_host *h, struct gl_watchdog *w) {
  sem_init(&h->pulse.wake, 0, 0);
  atomic_store(&h->pulse.asleep, false);
  w->watched = pthread_self();
  w->watched_id = gettid();
  if (pthread_getcpuclockid(w->watched, &w->cpu) != 0) w->cpu = CLOCK_MONOTONIC;
  watched_host = h;
  h->watchdog = w;
  h->preempt_hook = preempt_hook;
  h->user_hook_ran = on_user_hook;
  h->atomic_section_left = on_atomic_section_left;
  install_handler();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the watchdog's thread handles none */
  int err = pthread_create(&w->thread, NULL, watchdog_main, h);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (err == 0) return true;
  h->watchdog = NULL;
  sem_destroy(&h->pulse.wake);
  free(w);
  return false;
}

bool gl_preempt_start(gl_host *h) {
  struct gl_watchdog *w = calloc(1, sizeof *w);
  if (!w) return false;
  w->random = 2463534242u;
  return start_watchdog(h, w);
}

/* What was seen and reported so far stays. The watchdog's thread is gone with the fork, and the clock is of a thread of the parent. */
void gl_preempt_restart(gl_host *h) {
  h->watchdog_due = false;
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  atomic_store(&w->report, false);
  atomic_store(&w->late, false);
  w->section = w->deferred_beat = 0;
  start_watchdog(h, w);
}

void gl_preempt_stop(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  atomic_store(&w->end, true);
  sem_post(&h->pulse.wake);
  if (!h->watchdog_due) pthread_join(w->thread, NULL);
  gl_stall_flush(&w->stalls);
  gl_stall_flush(&w->blocks);
  h->watchdog = NULL;
  watched_host = NULL;
  sem_destroy(&h->pulse.wake);
  free(w);
}

void gl_preempt_set_reports(gl_host *h, bool on) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  if (!on && !w->quiet) gl_stall_flush(&w->stalls);
  w->quiet = !on;
}

uint64_t gl_preempt_count(const gl_host *h) { return h->watchdog ? h->watchdog->count : 0; }
