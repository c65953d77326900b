/* SPDX-License-Identifier: MIT
 *
 * Timers of the host: a binary heap of intrusive entries on the monotonic clock. One uv_timer wakes
 * the loop for the earliest; arming, moving and dropping the others costs no system call and no
 * handle, so each task and each connection can have one.
 */
#ifndef GL_CORE_CLOCK_H
#define GL_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gl_timer {
  uint64_t due;                    /* ns, monotonic (uv_hrtime) */
  uint32_t slot;                   /* place in the heap + 1, if it is found there: else it is not armed */
  void (*fire)(struct gl_timer *); /* from the driver, outside uv_run; must not call Lua */
} gl_timer;

typedef struct gl_clock {
  gl_timer **heap; /* heap[0] is due first */
  uint32_t len, cap;
} gl_clock;

/* Longest wait the clock knows: some 100 years. Anything above counts as that. */
#define GL_FOREVER 3.2e9

/* A fork empties the heap of the child (core/fork.h), and leaves the slots of the parent's timers as they are. */
static inline bool gl_timer_is_armed(const gl_clock *c, const gl_timer *t) {
  return t->slot && t->slot <= c->len && c->heap[t->slot - 1] == t;
}

/* Arms (or moves) a timer to fire `seconds` from now. False: out of memory, the timer is not armed. */
bool gl_timer_arm(gl_clock *c, gl_timer *t, double seconds);

/* The same, at a point of the monotonic clock. */
bool gl_timer_arm_at(gl_clock *c, gl_timer *t, uint64_t due);

/* Disarms; harmless when not armed. */
void gl_timer_drop(gl_clock *c, gl_timer *t);

/* Fires everything due by `now`, earliest first. Timers armed by a firing timer wait for the next call. */
void gl_clock_fire(gl_clock *c, uint64_t now);

/* When the earliest timer is due; 0 = there is none. */
uint64_t gl_clock_next(const gl_clock *c);

void gl_clock_free(gl_clock *c);

/* `seconds` after `now`, in ns, saturating. */
uint64_t gl_clock_after(uint64_t now, double seconds);

#endif
