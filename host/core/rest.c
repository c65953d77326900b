/* SPDX-License-Identifier: MIT */
#include "core/rest.h"

#include <malloc.h>

#include "core/check.h"

#define MUCH ((size_t)16 << 20) /* bytes that are worth it */
#define PAUSE 1.0               /* seconds without work after which it is a rest, */
#define CALM 50                 /* but for so many beats of the pulse; */
#define NOBODY 2                /* and from one slice to the next */
#define SLICE_NS 500000
#define CYCLES 2 /* of the collector: one may be under way, and miss what has just become garbage */

/* Was so much allocated since the last rest, or does so much lie idle that did not then? */
static bool is_due(const gl_host *h) {
  const gl_alloc *a = &h->alloc;
  size_t churn = a->taken - h->rest.mark;
  return (churn >= MUCH && churn >= gl_alloc_used(a) / 2) || gl_alloc_idle(a) >= a->stuck + MUCH;
}

static uint64_t beats_since(gl_host *h) {
  uint64_t beats = gl_pulse_beats(&h->pulse), before = h->rest.beats;
  h->rest.beats = beats;
  return beats - before;
}

/* True: there is more to collect. Finalizers run in here, outside of any task. */
static bool collect_some(gl_host *h) {
  uint64_t until = uv_hrtime() + SLICE_NS;
  if (!lua_gc(h->L, LUA_GCISRUNNING, 0)) return false;
  while (h->rest.cycles < CYCLES && uv_hrtime() < until)
    if (lua_gc(h->L, LUA_GCSTEP, 0)) h->rest.cycles++;
  return h->rest.cycles < CYCLES;
}

static bool trim_some(gl_host *h) {
  uint64_t until = uv_hrtime() + SLICE_NS;
  while (gl_alloc_trim_some(&h->alloc))
    if (uv_hrtime() >= until) return true;
  return false;
}

static void on_rest(gl_timer *timer) {
  gl_host *h = GL_CONTAINER(timer, gl_host, rest.timer);
  bool calm = beats_since(h) <= (h->rest.begun ? NOBODY : CALM);
  h->rest.begun = true;
  if (calm && (collect_some(h) || trim_some(h))) {
    gl_timer_arm(&h->clock, timer, 0);
    return;
  }
  h->rest.begun = false;
  h->rest.cycles = 0;
  if (!calm) return; /* the next time the loop waits */
  malloc_trim(0);
  h->rest.mark = h->alloc.taken;
}

void gl_idle_begin(gl_host *h) {
  if (gl_timer_is_armed(&h->clock, &h->rest.timer) || !is_due(h)) return;
  h->rest.timer.fire = on_rest;
  beats_since(h);
  gl_timer_arm(&h->clock, &h->rest.timer, PAUSE);
}
