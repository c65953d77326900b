/* SPDX-License-Identifier: MIT
 *
 * The watchdog: a thread that looks now and then whether the loop's thread is still in the same step of the same task.
 *
 *     the watchdog's thread                               the loop's thread
 *     each tick: the same beat as before?                 each step: gl_pulse_beat
 *       a slice of CPU used in it:
 *         overrun = the beat, GL_WATCHDOG_SIGNAL -------> preempt.c:on_signal sets the hook that ends the slice
 *         again every few ticks, unless the hook is
 *         set on the coroutine that runs (hooked_in, hooked_on)
 *       GL_STALL_MS used in it:
 *         report = true, the signal --------------------> on_signal reports the stack, if it stands in C
 *       asleep in a system call that must go on:
 *         no signal; reports; late = true                 on_signal reports where the call has come back to
 *     IDLE_US without a step   : gl_pulse_sleep <-------- gl_pulse_wake
 *
 * A slice is CPU time: on a machine with more to do than it has CPUs, a task has not used up its slice because the clock went on.
 * A thread that sleeps in a system call gets no signal, except in a call that the kernel restarts by itself: foreign code may not
 * expect EINTR.
 */
#ifndef GL_CORE_WATCHDOG_H
#define GL_CORE_WATCHDOG_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/host.h"
#include "core/stall.h"

#define GL_WATCHDOG_SIGNAL SIGURG /* ignored by default, and used by nothing else here */
#define GL_STALL_MS 100           /* a C function that holds the loop longer is reported */
#define GL_STRING(n) #n
#define GL_NUMBER(n) GL_STRING(n)
#define GL_STALLED "greenlua: stalled for more than " GL_NUMBER(GL_STALL_MS) " ms in C"

struct gl_watchdog {
  pthread_t thread;      /* the watchdog's own */
  pthread_t watched;     /* the loop's thread, */
  pid_t watched_id;      /* its id for the kernel, */
  clockid_t cpu;         /* and the clock that counts its CPU time */
  atomic_bool end;       /* the watchdog's thread must end */
  atomic_uint_fast64_t overrun; /* the step that the signal is for: its slice is used up */
  _Atomic(const char *) report; /* the handler must report where the step stands, too, with this advice; NULL = it must not */
  atomic_bool late;      /* the step stood where no signal may come: the handler must report where it came back to */
  uint64_t reported;     /* the last step that was reported */
  _Atomic uint64_t hooked_in;      /* the step in which the last signal has set the hook, */
  _Atomic(lua_State *) hooked_on;  /* and the coroutine: another signal need not come at once */
  gl_stall stalls;       /* reports by the handler, on the loop's thread */
  gl_stall blocks;       /* reports by the watchdog's thread */
  atomic_bool quiet;     /* stalls are not reported */
  _Atomic uint64_t slice; /* counts the beginnings and ends of slices of long work: odd while one is under way, */
  _Atomic uint64_t least, most; /* and until when it has to run, and may run, on the monotonic clock, ns */
  atomic_bool watches;   /* the thread looks at such slices, and finds the next one by itself */
  uint64_t watched_slice; /* the last one that it has watched */
};

/* Starts to watch the calling thread as the host's, whose h->watchdog it becomes. False: no thread is to be had. */
bool gl_watchdog_start(gl_host *h);

/* In a forked child: starts a thread in place of the parent's, which is gone with the fork; the clock, too, is of a thread of the
 * parent. What was seen and reported so far stays. */
void gl_watchdog_restart(gl_host *h);

/* Ends the thread, and frees h->watchdog. */
void gl_watchdog_stop(gl_host *h);

/* A slice of long work begins (core/runqueue.h), of one step or several: the step in which it is then will be ended `most` ns from now,
 * or `least` ns from now if the loop has something to do. */
void gl_watchdog_begin_slice(gl_host *h, uint64_t least, uint64_t most);

/* The slice is over. */
void gl_watchdog_end_slice(gl_host *h);

/* CPU time of the loop's thread, us. Safe in a signal handler. */
uint64_t gl_watchdog_cpu_us(const struct gl_watchdog *w);

/* Is a stall to be reported: are reports on, and would it hold up anybody else? If not, the script stalls as under lua, and that is
 * no news. Safe in a signal handler, and on both threads. */
bool gl_watchdog_reports(const gl_host *h);

#endif
