/* SPDX-License-Identifier: MIT
 *
 * The handshake between the loop's thread and the watchdog's (host/core/pulse.h) under stress: the watchdog goes to sleep
 * whenever it saw no beat, and each beat that rouses must be seen by it, although none follows. Prints how often it slept.
 * cc -I host -pthread tests/core/pulse_stress.c; with -fsanitize=thread, too.
 */
#include "core/pulse.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE 20 /* seconds for one beat to be seen, on a busy machine */

static gl_pulse pulse;
static _Atomic uint64_t seen;
static atomic_bool end;
static uint64_t sleeps;

static void *watchdog(void *unused) {
  (void)unused;
  uint64_t last = UINT64_MAX;
  while (!atomic_load(&end)) {
    uint64_t beats = gl_pulse_beats(&pulse);
    atomic_store(&seen, beats);
    if (beats == last) {
      gl_pulse_sleep(&pulse, beats);
      sleeps++;
    }
    last = beats;
  }
  return NULL;
}

static void wait_until_seen(uint64_t beats) {
  time_t began = time(NULL);
  while (atomic_load(&seen) < beats) {
    sched_yield();
    if (time(NULL) - began < PATIENCE) continue;
    printf("beat %llu was missed\n", (unsigned long long)beats);
    exit(EXIT_FAILURE);
  }
}

int main(int argc, char **argv) {
  long rounds = argc > 1 ? atol(argv[1]) : 100000;
  unsigned random = 1;
  pthread_t thread;
  if (sem_init(&pulse.wake, 0, 0) != 0 || pthread_create(&thread, NULL, watchdog, NULL) != 0) return EXIT_FAILURE;
  for (long i = 0; i < rounds; i++) {
    gl_pulse_wake(&pulse);
    random = random * 1103515245 + 12345;
    for (unsigned n = random >> 16 & 7; n > 0; n--) gl_pulse_beat(&pulse);
    for (volatile unsigned n = random >> 20 & 1023; n > 0; n--) continue; /* it sleeps, or is on its way to */
    if (i % 2) wait_until_seen(gl_pulse_beats(&pulse) - (random >> 16 & 7));
  }
  atomic_store(&end, true);
  gl_pulse_wake(&pulse);
  pthread_join(thread, NULL);
  printf("slept %s\n", sleeps > 0 ? "now and then" : "never");
  return sleeps > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
