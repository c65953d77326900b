/* SPDX-License-Identifier: MIT */
#include "core/idle.h"

#include <malloc.h>

#include "core/alone.h"
#include "core/check.h"

#define MUCH ((size_t)16 << 20) /* bytes that make the work worth while */
#define PAUSE 1.0               /* seconds of calm before the work begins */
#define CALM 50                 /* beats of the pulse (steps, batches) in that time that still count as calm, */
#define NOBODY 2                /* and from one slice to the next */
#define SLICE_NS 500000
#define CYCLES 2 /* collector cycles: the first may be under way, and miss what has just become garbage */

/* Was much allocated since the last idle work, or does much more memory lie free than then? */
static bool is_due(const gl_host *h) {
  const gl_alloc *a = &h->alloc;
  size_t churn = a->allocated - h->idle_work.mark;
  return (churn >= MUCH && churn >= gl_alloc_used(a) / 2) || gl_alloc_idle(a) >= a->stuck + MUCH;
}

static uint64_t beats_since(gl_host *h) {
  uint64_t beats = gl_pulse_beats(&h->pulse), before = h->idle_work.beats;
  h->idle_work.beats = beats;
  return beats - before;
}

/* Collects garbage for one slice. True: there is more to collect. Finalizers run in here, outside of any task. */
static bool collect_some(gl_host *h) {
  if (!lua_gc(h->L, LUA_GCISRUNNING, 0)) return false;
  gl_pulse_wake(&h->pulse);
  gl_alone before = gl_alone_begin(h);
  uint64_t until = uv_hrtime() + SLICE_NS;
  while (h->idle_work.cycles < CYCLES && uv_hrtime() < until)
    if (lua_gc(h->L, LUA_GCSTEP, 0)) h->idle_work.cycles++;
  gl_alone_end(h, before);
  beats_since(h); /* the beats of this are nobody's */
  return h->idle_work.cycles < CYCLES;
}

/* Gives memory back to the system for one slice. True: there is more to give back. */
static bool trim_some(gl_host *h) {
  uint64_t until = uv_hrtime() + SLICE_NS;
  while (gl_alloc_trim_some(&h->alloc))
    if (uv_hrtime() >= until) return true;
  return false;
}

static void on_idle(gl_timer *timer) {
  gl_host *h = GL_CONTAINER(timer, gl_host, idle_work.timer);
  bool calm = beats_since(h) <= (h->idle_work.begun ? NOBODY : CALM);
  h->idle_work.begun = true;
  if (calm && (collect_some(h) || trim_some(h))) {
    gl_timer_arm(&h->clock, timer, 0);
    return;
  }
  h->idle_work.begun = false;
  h->idle_work.cycles = 0;
  if (!calm) return; /* gl_idle_begin tries again when the loop waits */
  malloc_trim(0);
  h->idle_work.mark = h->alloc.allocated;
}

void gl_idle_begin(gl_host *h) {
  if (gl_timer_is_armed(&h->clock, &h->idle_work.timer) || !is_due(h)) return;
  h->idle_work.timer.fire = on_idle;
  beats_since(h);
  gl_timer_arm(&h->clock, &h->idle_work.timer, PAUSE);
}
