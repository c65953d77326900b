/* SPDX-License-Identifier: MIT
 *
 * Timers of the host: a binary heap of intrusive entries on the monotonic clock. One uv_timer wakes
 * the loop for the earliest entry; arming, moving and dropping the others costs no system call and no
 * handle, so that each task and each connection can have a timer.
 */
#ifndef GL_CORE_CLOCK_H
#define GL_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gl_timer {
  uint64_t due;                    /* ns, monotonic (uv_hrtime) */
  uint32_t slot;                   /* place in the heap + 1; a timer that is not found at that place is not armed */
  void (*fire)(struct gl_timer *); /* called by the driver, outside uv_run; must not call Lua */
} gl_timer;

typedef struct gl_clock {
  gl_timer **heap; /* heap[0] is due first */
  uint32_t len, cap;
} gl_clock;

/* The longest wait that the clock knows, in seconds: some 100 years. Longer ones count as this. */
#define GL_FOREVER 3.2e9

/* Is the timer in the heap? Its `slot` alone does not tell: a fork empties the heap of the child (core/fork.h), and leaves the
 * timers of the parent as they are. */
static inline bool gl_timer_is_armed(const gl_clock *c, const gl_timer *t) {
  return t->slot && t->slot <= c->len && c->heap[t->slot - 1] == t;
}

/* Arms or moves a timer to fire `seconds` from now. False: out of memory, the timer is not armed. */
bool gl_timer_arm(gl_clock *c, gl_timer *t, double seconds);

/* The same, at `due` on the monotonic clock, ns. */
bool gl_timer_arm_at(gl_clock *c, gl_timer *t, uint64_t due);

/* Disarms a timer; harmless when it is not armed. */
void gl_timer_drop(gl_clock *c, gl_timer *t);

/* Fires all timers due by `now`, earliest first. A timer that a firing timer arms waits for the next call. */
void gl_clock_fire(gl_clock *c, uint64_t now);

/* When the earliest timer is due, ns; 0 = there is none. */
uint64_t gl_clock_next(const gl_clock *c);

void gl_clock_free(gl_clock *c);

/* The time `seconds` after `now`, ns, saturating; `now` for negative seconds and NaN. */
uint64_t gl_clock_after(uint64_t now, double seconds);

#endif
