/* SPDX-License-Identifier: MIT */
#include "core/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/backstop.h"
#include "core/clock.h"
#include "core/task.h"
#include "core/ticks.h"

#define TICK_US 5000     /* how often the watchdog looks, unless a slice will be used up before */
#define LEAST_TICK_US 100
#define BLOCKED_AFTER_US (4 * TICK_US) /* in the same step, after which the watchdog looks whether the thread sleeps */
#define SLICE_US (GL_SLICE_MS * 1000)
#define TIMER_SLACK_NS 5000 /* by which the watchdog may wake too late; the default is ten times as much */
#define AWAKE_US 500     /* CPU time after which a thread has left the system call that it slept in */
#define REPEAT 4         /* looks between two signals in the same step */
#define IDLE_US 200000   /* without a step, after which the watchdog goes to sleep */

/* What to do about a stall. */
#define COMPUTES "\tThis is work: give C less of it at a time, or do it in a process of its own (green.process).\n"
#define WAITS "\tThis is a wait that greenlua does not see (a lock, a file, a call past libc): README, under \"What runs unmodified\", has what to do.\n"

uint64_t gl_watchdog_cpu_us(const struct gl_watchdog *w) {
  struct timespec t = {0, 0};
  clock_gettime(w->cpu, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool gl_watchdog_reports(const gl_host *h) {
  return !h->watchdog->quiet && (__atomic_load_n(&h->census.tasks, __ATOMIC_RELAXED) > 1 || __atomic_load_n(&h->holds, __ATOMIC_RELAXED) > 0);
}

/* ---- the thread ---- */

static struct timespec timespec_of(uint64_t ns) {
  return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

/* Sleeps for so long, or until the host wakes the watchdog: to end it, or because a slice of long work begins. The host may have done
 * so many times before the watchdog got a CPU: all of them mean one look. */
static void sleep_us(gl_host *h, uint64_t us) {
  struct timespec until = timespec_of(uv_hrtime() + us * 1000);
  while (sem_clockwait(&h->pulse.wake, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR) continue;
  while (sem_trywait(&h->pulse.wake) == 0) continue;
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

/* Writes the report of a thread that sleeps in a system call. */
static void describe_call(const struct gl_watchdog *w, char *out, size_t size) {
  static const struct {
    long number;
    const char *name;
  } calls[] = {{SYS_nanosleep, "nanosleep"}, {SYS_clock_nanosleep, "clock_nanosleep"}, {SYS_ppoll, "ppoll"}, {SYS_pselect6, "pselect6"},
               {SYS_epoll_pwait, "epoll_pwait"}, {SYS_connect, "connect"}, {SYS_recvfrom, "recvfrom"}, {SYS_sendto, "sendto"}, {SYS_fcntl, "fcntl"},
#ifdef SYS_poll
               {SYS_poll, "poll"}, {SYS_select, "select"}, {SYS_epoll_wait, "epoll_wait"},
#endif
  };
  char line[256], name[32] = "";
  long number = -1;
  if (read_proc(w, "syscall", line, sizeof line)) number = strtol(line, NULL, 10);
  if (number >= 0) snprintf(name, sizeof name, " %ld", number);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i].number == number) snprintf(name, sizeof name, " %s", calls[i].name);
  snprintf(out, size, GL_STALLED ":\n\t[C]: in the system call%s, which must not be interrupted\n", name);
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

/* What the watchdog has seen of one step. From one look to the next, no more than a tick is counted, which may be less: a watchdog
 * that got no CPU has not seen what the thread did meanwhile. */
typedef struct sight {
  uint64_t step;
  uint64_t at;       /* the last look, us on the monotonic clock */
  uint64_t lasted, asleep; /* us seen of the step; us of them with the thread asleep */
  int signals;       /* looks since the last signal */
  uint64_t looked;   /* CPU time at the last look, us */
  uint64_t since;    /* CPU time when the step began, us */
  uint64_t slept;    /* CPU time when the thread was last seen asleep, or the step began, us */
} sight;

/* Is the thread within a system call that a signal would cut short? A thread that was woken may still be in the call, waiting for
 * a CPU: it counts as out of the call once it has used some CPU time. */
static bool is_out_of_reach(const struct gl_watchdog *w, sight *s, uint64_t now, uint64_t passed) {
  bool sleeps = is_blocked(w);
  if (sleeps) {
    s->slept = now;
    s->asleep += passed;
  }
  return sleeps ? !may_be_interrupted(w) : now - s->slept < AWAKE_US;
}

/* Signals the thread, whose step takes too long, and has a stall reported if there is advice. A thread that is out of reach gets no signal: that
 * would end the call it sleeps in. */
static void signal_thread(gl_host *h, struct gl_watchdog *w, sight *s, bool out_of_reach, const char *advice) {
  bool news = advice && w->reported != s->step;
  if (out_of_reach) {
    if (!news) return;
    w->reported = s->step;
    if (!gl_watchdog_reports(h)) return;
    char call[160];
    describe_call(w, call, sizeof call);
    gl_stall_report(&w->blocks, call, NULL, 0, WAITS);
    atomic_store(&w->late, true);
    return;
  }
  if (news) {
    w->reported = s->step;
    atomic_store(&w->report, advice);
  }
  bool hooked = atomic_load_explicit(&w->hooked_in, memory_order_relaxed) == s->step &&
                atomic_load_explicit(&w->hooked_on, memory_order_relaxed) == __atomic_load_n(&h->running, __ATOMIC_RELAXED);
  if (hooked && !news && ++s->signals % REPEAT) return;
  pthread_kill(w->watched, GL_WATCHDOG_SIGNAL);
}

/* CPU time at which the step began that the thread is in, us. No more can have been used since than the time that went by. */
static uint64_t step_began(const gl_host *h, const sight *s, uint64_t now) {
  double rate;
  __atomic_load(&h->meter.rate, &rate, __ATOMIC_RELAXED);
  uint64_t last = __atomic_load_n(&h->meter.last, __ATOMIC_RELAXED), ticks = gl_ticks();
  uint64_t passed = ticks > last ? (uint64_t)((double)(ticks - last) * rate / 1000) : 0;
  return now - s->looked < passed ? s->looked : now - passed;
}

static void see_new_step(const gl_host *h, struct gl_watchdog *w, sight *s, uint64_t now) {
  s->lasted = s->asleep = 0;
  s->signals = 0;
  s->since = step_began(h, s, now);
  s->slept = now;
  if (atomic_load_explicit(&w->late, memory_order_relaxed)) atomic_store(&w->late, false); /* the step before is over: there is no place to report */
}

/* One look of the watchdog at the loop's thread, which is in a step. Returns when to look again, in us. */
static uint64_t look_at_step(gl_host *h, struct gl_watchdog *w, sight *s, uint64_t step) {
  uint64_t now = gl_watchdog_cpu_us(w), at = uv_hrtime() / 1000, passed = at - s->at < TICK_US ? at - s->at : TICK_US;
  if (step == s->step) s->lasted += passed;
  else see_new_step(h, w, s, now);
  s->step = step;
  s->at = at;
  s->looked = now;
  uint64_t spent = now - s->since, left = spent < SLICE_US ? SLICE_US - spent : TICK_US;
  if (spent >= SLICE_US || s->lasted > BLOCKED_AFTER_US) {
    bool out_of_reach = is_out_of_reach(w, s, now, passed), slow = s->lasted >= GL_STALL_MS * 1000;
    bool waits = s->asleep > s->lasted / 2, stalled = slow && (spent >= GL_STALL_MS * 1000 || waits);
    if (stalled || spent >= SLICE_US) {
      atomic_store(&w->overrun, step);
      signal_thread(h, w, s, out_of_reach, !stalled ? NULL : waits ? WAITS : COMPUTES);
    }
  }
  return left > TICK_US ? TICK_US : left < LEAST_TICK_US ? LEAST_TICK_US : left;
}

/* ---- slices of long work ---- */

void gl_watchdog_begin_slice(gl_host *h, uint64_t least, uint64_t most) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  uint64_t now = uv_hrtime();
  atomic_store_explicit(&w->least, now + least, memory_order_relaxed);
  atomic_store_explicit(&w->most, now + most, memory_order_relaxed);
  atomic_store(&w->slice, (atomic_load_explicit(&w->slice, memory_order_relaxed) + 1) | 1); /* a driver that a task has parked on has not ended the slice */
  if (!atomic_load(&w->watches)) sem_post(&h->pulse.wake);
}

void gl_watchdog_end_slice(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  uint64_t slice = atomic_load_explicit(&w->slice, memory_order_relaxed);
  if (slice % 2) atomic_store_explicit(&w->slice, slice + 1, memory_order_release);
}

/* Watches a slice of long work until it is over, or has to be: when it had its most, or its least and the loop has something to do. */
static void watch_slice(gl_host *h, struct gl_watchdog *w, uint64_t slice) {
  struct timespec least = timespec_of(atomic_load_explicit(&w->least, memory_order_relaxed));
  uint64_t most = atomic_load_explicit(&w->most, memory_order_relaxed);
  struct pollfd loop = {.fd = uv_backend_fd(&h->loop), .events = POLLIN};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &least, NULL);
  if (atomic_load(&w->slice) != slice) return;
  uint64_t now = uv_hrtime();
  struct timespec left = timespec_of(most > now ? most - now : 0);
  ppoll(&loop, 1, &left, NULL);
  uint64_t step = gl_pulse_beats(&h->pulse);
  if (atomic_load(&w->slice) != slice || is_blocked(w)) return;
  atomic_store(&w->overrun, step); /* a step of the slice, since that is not over yet */
  pthread_kill(w->watched, GL_WATCHDOG_SIGNAL);
}

static bool is_to_be_watched(const struct gl_watchdog *w, uint64_t slice) { return slice % 2 && slice != w->watched_slice; }

/* Watches the slices of long work, one after the other. Each is watched once: what does not make way is a step like any other then. */
static void watch_slices(gl_host *h, struct gl_watchdog *w) {
  uint64_t slice = atomic_load(&w->slice);
  while (is_to_be_watched(w, slice)) {
    atomic_store(&w->watches, true);
    for (; is_to_be_watched(w, slice); slice = atomic_load(&w->slice)) watch_slice(h, w, w->watched_slice = slice);
    atomic_store(&w->watches, false); /* a slice that begins from here on wakes the thread; */
    slice = atomic_load(&w->slice);   /* one that has begun just now did not */
  }
}

static void watchdog_loop(gl_host *h, struct gl_watchdog *w) {
  sight s = {0};
  uint64_t idle = 0, us = TICK_US;
  prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
  while (!atomic_load(&w->end)) {
    sleep_us(h, us);
    watch_slices(h, w);
    uint64_t step = gl_pulse_beats(&h->pulse);
    bool busy = __atomic_load_n(&h->running, __ATOMIC_RELAXED) != NULL;
    bool expired, stopping = gl_backstop_look(h, &expired);
    if (expired) pthread_kill(w->watched, GL_WATCHDOG_SIGNAL);
    idle = !busy && !stopping && step == s.step ? idle + us : 0;
    us = busy ? look_at_step(h, w, &s, step) : TICK_US;
    if (!busy) s.step = step;
    if (idle < IDLE_US) continue;
    gl_pulse_sleep(&h->pulse, step);
    idle = 0;
  }
}

static void *watchdog_main(void *arg) {
  gl_host *h = arg;
  watchdog_loop(h, h->watchdog);
  return NULL;
}

/* ---- its life ---- */

/* Makes `w` watch the calling thread. False: no thread is to be had, and `w` is freed. */
static bool start_thread(gl_host *h, struct gl_watchdog *w) {
  sem_init(&h->pulse.wake, 0, 0);
  atomic_store(&h->pulse.asleep, false);
  w->watched = pthread_self();
  w->watched_id = gettid();
  if (pthread_getcpuclockid(w->watched, &w->cpu) != 0) w->cpu = CLOCK_MONOTONIC;
  h->watchdog = w;
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

bool gl_watchdog_start(gl_host *h) {
  struct gl_watchdog *w = calloc(1, sizeof *w);
  return w && start_thread(h, w);
}

void gl_watchdog_restart(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  atomic_store(&w->report, NULL);
  atomic_store(&w->late, false);
  start_thread(h, w);
}

void gl_watchdog_stop(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  gl_backstop_disarm(h);
  atomic_store(&w->end, true);
  sem_post(&h->pulse.wake);
  if (!h->watchdog_due) pthread_join(w->thread, NULL);
  gl_stall_flush(&w->stalls);
  gl_stall_flush(&w->blocks);
  h->watchdog = NULL;
  sem_destroy(&h->pulse.wake);
  free(w);
}
