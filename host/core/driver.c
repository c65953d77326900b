/* SPDX-License-Identifier: MIT */
#include "core/driver.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/alone.h"
#include "core/cancel.h"
#include "core/check.h"
#include "core/fork.h"
#include "core/idle.h"
#include "core/inspect.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/op.h"
#include "core/preempt.h"
#include "core/resolver.h"
#include "core/stack.h"
#include "core/step.h"
#include "core/task.h"
#include "core/ticks.h"

#define NEVER UINT64_MAX
#define POLL_BATCHES 16  /* batches that may share one look at the kernel */
#define MAX_PARKED 16000 /* a stack is two mappings, and vm.max_map_count is 65530 by default */
#define MAX_DEADLOCKS 3  /* tasks that shield themselves from being cancelled for longer end with the process */

/* UV_RUN_ONCE runs timers first and polls then. When the alarm goes off in the first phase, nothing may be left to end the
 * poll: uv_stop makes uv_run skip it. */
static void on_alarm(uv_timer_t *alarm) {
  ((gl_host *)alarm->data)->alarm_due = 0;
  uv_stop(alarm->loop);
}

/* Reports an error outside any protected call, as lua.c does. Only a fault of the host itself comes here. */
static int on_panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "greenlua: unprotected error: %s\n", message ? message : "(not a string)");
  return 0; /* Lua aborts */
}

/* ---- the turn ---- */

static bool is_finished(const gl_host *h) { return h->stop || (h->census.tasks == 0 && (h->holds == 0 || h->ending)); }

/* Is nothing left but tasks that the program does not go on for? */
static bool has_daemons_alone(const gl_host *h) { return h->daemons > 0 && h->daemons == h->census.tasks && (h->holds == 0 || h->ending); }

/* One uv_timer stands for the whole heap; it is touched only when the earliest entry changed. With an empty heap it is set to
 * never, not stopped: uv_run does not block on a loop without an active handle, and a task may wait for what is no handle
 * (another task, a job of the pool that was cancelled). */
static void set_alarm(gl_host *h) {
  uint64_t due = gl_clock_next(&h->clock);
  if (!due) due = NEVER;
  if (due == h->alarm_due) return;
  h->alarm_due = due;
  uint64_t now = uv_hrtime();
  uv_update_time(&h->loop);
  uv_timer_start(&h->alarm, on_alarm, due > now ? (due - now + 999999) / 1000000 : 0, 0);
}

static bool is_deadlocked(const gl_host *h) {
  unsigned int alarm = uv_is_active((const uv_handle_t *)&h->alarm) ? 1 : 0;
  return h->census.tasks > 0 && h->holds == 0 && gl_runqueue_is_empty(&h->queue) && !h->turn_hooks && !gl_host_has_left_over(h) &&
         !gl_clock_next(&h->clock) && gl_loop_is_idle(&h->loop, alarm);
}

/* When all tasks wait, and no timer, handle or request is left that could wake one, reports where each of them waits, and
 * cancels them all, so that each gives back what it holds. */
static void break_deadlock(gl_host *h) {
  if (!is_deadlocked(h)) return;
  fputs("greenlua: deadlock: all tasks wait for each other\n", stderr);
  gl_inspect_print(h);
  if (++h->deadlocks > MAX_DEADLOCKS) exit(EXIT_FAILURE);
  for (gl_task *t = h->live; t; t = t->next_live) gl_task_cancel(t);
}

/* Batches that follow each other closely (tasks that talk to each other) share one look at the kernel, which costs more than the batches
 * do. But before a slice of long work that may be long, short work has its chance to become ready; so has a timer. */
static bool shares_poll(gl_host *h) {
  const gl_runqueue *q = &h->queue;
  if (!q->ready.head && (!q->first || (q->turn == GL_TURN_SHORT && (q->hogged || gl_clock_next(&h->clock))))) return false;
  return !q->switched.head && ++h->unpolled < POLL_BATCHES && h->meter.last - h->polled < h->meter.brief;
}

/* Runs the loop once and fires the timers that are due; blocks while no task is ready. Returns whether it blocked, or may have. */
static bool poll_loop(gl_host *h) {
  if (h->watchdog_due) gl_preempt_restart(h);
  if (shares_poll(h)) return false;
  const gl_runqueue *q = &h->queue;
  bool idle = gl_runqueue_is_empty(q), blocks = idle && !h->turn_hooks && !gl_host_has_left_over(h);
  if (idle) gl_idle_begin(h);
  set_alarm(h);
  uv_run(&h->loop, blocks ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  h->unpolled = 0;
  if (gl_clock_next(&h->clock)) gl_clock_fire(&h->clock, uv_hrtime());
  return blocks;
}

/* Returns on the home stack when the host is finished; on any other stack it never returns. */
static void drive(gl_host *h) {
  for (;;) {
    if (h->queue.batch.head) gl_pulse_wake(&h->pulse);
    if (h->queue.turn != GL_TURN_SHORT) gl_preempt_begin_slice(h);
    for (gl_task *t; (t = gl_runqueue_next(h)) != NULL;) gl_task_step(h, t);
    if (h->queue.turn != GL_TURN_SHORT) gl_preempt_end_slice(h);
    if (h->exhausted) gl_task_end_exhausted(h);
    if (has_daemons_alone(h)) gl_task_cancel_daemons(h);
    if (h->forked && is_finished(h)) gl_fork_leave(h, h->deadlocks ? EXIT_FAILURE : h->exit); /* pending output is the parent's to write */
    gl_host_end_turn(h, is_finished(h));
    if (is_finished(h)) {
      if (h->stack == h->home) return;
      gl_stack_take_home(h); /* it is idle, since no task is parked on it */
      gl_stack_hop_idle(h, h->home);
      continue;
    }
    break_deadlock(h);
    bool slept = poll_loop(h);
    gl_op_reap(h);
    uint64_t now = gl_ticks();
    if (h->unpolled == 0) h->polled = now;
    gl_runqueue_take_batch(h, now, slept);
  }
}

/* ---- life ---- */

gl_host *gl_host_new(void) {
  gl_host *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  if (uv_loop_init(&h->loop) != 0) {
    free(h);
    return NULL;
  }
  gl_meter_init(&h->meter);
  gl_fork_begin(h);
  gl_alloc_init(&h->alloc);
  gl_memory_set_edge(h);
  h->process = 1;
  h->max_parked = MAX_PARKED;
  h->late_end = &h->late;
  h->chores_end = &h->chores;
  h->drive = drive;
  h->spare = malloc(GL_SPARES * sizeof *h->spare);
  h->scratch = malloc(GL_SCRATCH);
  h->L = lua_newstate(gl_alloc_lua, &h->alloc);
  uv_timer_init(&h->loop, &h->alarm);
  h->alarm.data = h;
  if (!h->L || !h->spare || !h->scratch || !gl_stack_init(h)) {
    gl_host_close(h);
    return NULL;
  }
  *gl_extra(h->L) = (uintptr_t)h; /* every coroutine of this state inherits it */
  lua_atpanic(h->L, on_panic);
  if (!gl_alone_init(h->L)) {
    gl_host_close(h);
    return NULL;
  }
  gl_memory_serve(h, false);
  return h;
}

void gl_host_run(gl_host *h) {
  h->stop = false;
  gl_memory_serve(h, false);
  drive(h);
}

/* Closes what the finalizers began to close, and frees what the last ops let go of. */
static void close_loop(gl_host *h) {
  uv_close((uv_handle_t *)&h->alarm, NULL);
  do {
    uv_run(&h->loop, UV_RUN_NOWAIT);
    gl_op_reap(h);
  } while (uv_loop_close(&h->loop) == UV_EBUSY && uv_loop_alive(&h->loop) && uv_run(&h->loop, UV_RUN_ONCE) >= 0);
}

void gl_host_close(gl_host *h) {
  GL_CHECK(h->census.parked == 0);
  gl_fork_end(h);
  while (h->jobs > 0) uv_run(&h->loop, UV_RUN_ONCE); /* a job may be writing out the bytes of a Lua string */
  if (h->L) gl_alone_close(h);
  h->L = NULL; /* ops that are done from here on have nothing left to unpin */
  gl_preempt_stop(h);
  gl_host_end_turn(h, true);  /* finalizers may have queued hooks, whose memory goes with the host */
  gl_resolver_close(h);
  close_loop(h);
  gl_stack_free_idle(h);
  free(h->suspended_scopes.bucket);
  gl_clock_free(&h->clock);
  gl_alloc_free(&h->alloc);
  free(h->home);
  free(h->spare);
  gl_buf_free(&h->trace);
  gl_buf_free(&h->spare_output);
  free(h->scratch);
  gl_memory_serve(NULL, false);
  free(h);
}
