/* SPDX-License-Identifier: MIT
 *
 * nanosleep and its like. A sleep that is cut short says that it is over: what sleeps on for the remainder as long as it is told of
 * one (LuaSocket) would never return. The task's own error comes right after.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "libc/calls.h"
#include "libc/limit.h"
#include "libc/wait.h"

#define SECOND 1000000000ll /* ns */

/* Is it a clock that goes on while nobody runs, and so one to wait for? */
static bool is_clock(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

/* Sleeps until `due` on the monotonic clock. False: the sleep was cut short. */
static bool sleep_until(gl_layer *l, uint64_t due) {
  int error = errno;
  gl_waited waited = gl_wait(l, &gl_sleep_type, NULL, 0, due ? due : UINT64_MAX);
  errno = error;
  return waited == GL_WAITED_TIMEOUT;
}

/* ns until the clock shows this time; 0 when it does. */
static long long missing(clockid_t clock, const struct timespec *time) {
  struct timespec now;
  clock_gettime(clock, &now);
  if (time->tv_sec - now.tv_sec > 3600) return 3600 * SECOND;
  long long ns = (time->tv_sec - now.tv_sec) * SECOND + time->tv_nsec - now.tv_nsec;
  return ns > 0 ? ns : 0;
}

/* Sleeps until the clock shows this time. Somebody may set the clock meanwhile, so it is looked at every second. */
static void sleep_until_shown(gl_layer *l, clockid_t clock, const struct timespec *time) {
  for (long long ns; (ns = missing(clock, time)) > 0 && !gl_layer_finalizes(l);) {
    if (clock != CLOCK_MONOTONIC && ns > SECOND) ns = SECOND;
    if (!sleep_until(l, uv_hrtime() + (uint64_t)ns)) return;
  }
}

int gl_libc_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
  uint64_t due;
  gl_layer *l = time && is_clock(clock) && (flags == 0 || flags == TIMER_ABSTIME) ? gl_layer_now() : NULL;
  if (!l || !gl_limit_until(time, &due)) return clock_nanosleep(clock, flags, time, left);
  if (flags) {
    sleep_until_shown(l, clock, time);
  } else {
    sleep_until(l, due);
    if (left) *left = (struct timespec){0};
  }
  return 0;
}

int gl_libc_nanosleep(const struct timespec *time, struct timespec *left) {
  uint64_t due;
  gl_layer *l = time ? gl_layer_now() : NULL;
  if (!l || !gl_limit_until(time, &due)) return nanosleep(time, left);
  sleep_until(l, due);
  if (left) *left = (struct timespec){0};
  return 0;
}

int gl_libc_usleep(useconds_t us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  return gl_layer_now() ? gl_libc_nanosleep(&time, NULL) : usleep(us);
}

unsigned int gl_libc_sleep(unsigned int seconds) {
  struct timespec time = {seconds, 0};
  if (!gl_layer_now()) return sleep(seconds);
  gl_libc_nanosleep(&time, NULL);
  return 0;
}
