/* SPDX-License-Identifier: MIT
 *
 * The pulse of the loop's thread, which the watchdog's thread reads; and how the watchdog goes to sleep while the loop is idle,
 * without missing the next beat. Plain C, no Lua, no loop: tests/core/pulse_stress.c drives it by itself.
 *
 *     loop                              watchdog
 *     beats = beats + 1                 asleep = true
 *     asleep? then post `wake`          beats as before? then wait for `wake`
 *
 * Each side writes before it reads, with sequential consistency, so that at least one side sees the write of the other.
 */
#ifndef GL_CORE_PULSE_H
#define GL_CORE_PULSE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct gl_pulse {
  _Atomic uint64_t beats; /* written by the loop's thread only */
  atomic_bool asleep;     /* the watchdog waits for `wake` */
  sem_t wake;
} gl_pulse;

static inline uint64_t gl_pulse_beats(const gl_pulse *p) { return atomic_load_explicit(&p->beats, memory_order_relaxed); }

/* Beats, without waking the watchdog: one that is awake sees the beat sooner or later. */
static inline void gl_pulse_beat(gl_pulse *p) {
  atomic_store_explicit(&p->beats, gl_pulse_beats(p) + 1, memory_order_relaxed);
}

/* Beats, and wakes the watchdog when it sleeps. */
static inline void gl_pulse_wake(gl_pulse *p) {
  atomic_store(&p->beats, gl_pulse_beats(p) + 1);
  if (atomic_load(&p->asleep) && atomic_exchange(&p->asleep, false)) sem_post(&p->wake);
}

/* For the watchdog: sleeps until the next gl_pulse_wake, unless there was a beat since `last`. */
static inline void gl_pulse_sleep(gl_pulse *p, uint64_t last) {
  atomic_store(&p->asleep, true);
  if (atomic_load(&p->beats) != last && atomic_exchange(&p->asleep, false)) return;
  while (sem_wait(&p->wake) != 0) continue; /* interrupted by a signal: `wake` was posted, or will be */
}

#endif
