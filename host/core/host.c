/* SPDX-License-Identifier: MIT */
#include "core/host.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/check.h"
#include "core/fork.h"
#include "core/inspect.h"
#include "core/memory.h"
#include "core/op.h"
#include "core/preempt.h"
#include "core/rest.h"
#include "core/stack.h"
#include "core/task.h"

#define NEVER UINT64_MAX
#define POLL_BATCHES 16  /* no more of them without a look at the kernel, */
#define POLL_NS 100000   /* nor more time */
#define TURNS 64         /* ends of a turn between two looks at the clock, */
#define TURNS_NS 2000000 /* and how long all of them may take at once */
#define MAX_PARKED 16000 /* two mappings each; vm.max_map_count is 65530 by default */

/* uv_run fires its timers before it polls, and after this one nothing might end the poll. */
static void on_alarm(uv_timer_t *alarm) {
  ((gl_host *)alarm->data)->alarm_due = 0;
  uv_stop(alarm->loop);
}

/* As lua.c has it: an error outside any protected call. Only greenlua's own faults come here. */
static int on_panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "greenlua: unprotected error: %s\n", message ? message : "(not a string)");
  return 0; /* abort */
}

gl_host *gl_host_new(void) {
  gl_host *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  if (uv_loop_init(&h->loop) != 0) {
    free(h);
    return NULL;
  }
  gl_fork_begin(h);
  gl_alloc_init(&h->alloc);
  gl_memory_set_edge(h);
  h->process = 1;
  h->max_parked = MAX_PARKED;
  h->late_end = &h->late;
  h->spare = malloc(GL_SPARES * sizeof *h->spare);
  h->scratch = malloc(GL_SCRATCH);
  h->L = lua_newstate(gl_alloc_lua, &h->alloc);
  uv_timer_init(&h->loop, &h->alarm);
  h->alarm.data = h;
  if (!h->L || !h->spare || !h->scratch || !gl_stack_init(h)) {
    gl_host_close(h);
    return NULL;
  }
  *gl_extra(h->L) = (uintptr_t)h; /* copied to every coroutine of this state */
  lua_atpanic(h->L, on_panic);
  gl_memory_serve(h, false);
  return h;
}

/* ---- queues ---- */

static void append(gl_tasklist *list, gl_task *t) {
  t->state = GL_TASK_READY;
  t->next = NULL;
  if (list->tail) list->tail->next = t;
  else list->head = t;
  list->tail = t;
}

static gl_task *take(gl_tasklist *list) {
  gl_task *t = list->head;
  if (t && !(list->head = t->next)) list->tail = NULL;
  return t;
}

void gl_host_ready(gl_host *h, gl_task *t) { append(&h->ready, t); }
void gl_host_ready_last(gl_host *h, gl_task *t) { append(&h->preempted, t); }
void gl_host_ready_now(gl_host *h, gl_task *t) { append(&h->batch, t); }

void gl_at_turn_end(gl_host *h, gl_turn_hook *turn) {
  if (gl_turn_is_queued(h, turn)) return;
  turn->queued = h->process;
  turn->next = h->turn_hooks;
  h->turn_hooks = turn;
}

static void run_turn(gl_turn_hook **list) {
  gl_turn_hook *turn = *list;
  *list = turn->next;
  turn->queued = 0;
  turn->run(turn);
}

static void run_late(gl_host *h) {
  run_turn(&h->late);
  if (!h->late) h->late_end = &h->late;
}

/* What there is no time for now is done after a look at the loop, and after what the next turns ask for: ten thousand
 * writes, for a message to ten thousand, hold nobody up. */
static void put_off(gl_host *h) {
  *h->late_end = h->turn_hooks;
  while (*h->late_end) h->late_end = &(*h->late_end)->next;
  h->turn_hooks = NULL;
  for (int n = 0; n < TURNS && h->late; n++) run_late(h);
}

static void end_turn(gl_host *h, bool all) {
  uint64_t until = 0;
  for (int n = 1; h->turn_hooks || h->late; n++) {
    if (h->turn_hooks) run_turn(&h->turn_hooks);
    else run_late(h);
    if (all || n % TURNS != 0) continue;
    uint64_t now = uv_hrtime();
    if (until && now >= until) {
      put_off(h);
      return;
    }
    if (!until) until = now + TURNS_NS;
  }
}

/* ---- the driver ---- */

static bool over(const gl_host *h) { return h->stop || (h->census.tasks == 0 && (h->holds == 0 || h->ending)); }

/* One uv_timer stands for the whole heap; it is touched only when the earliest entry changed. With an
 * empty heap it is set to never, not stopped: uv_run does not block on a loop without an active handle,
 * and tasks may wait for what is none (a task on another, a pool job that was cancelled). */
static void set_alarm(gl_host *h) {
  uint64_t due = gl_clock_next(&h->clock);
  if (!due) due = NEVER;
  if (due == h->alarm_due) return;
  h->alarm_due = due;
  uint64_t now = uv_hrtime();
  uv_update_time(&h->loop);
  uv_timer_start(&h->alarm, on_alarm, due > now ? (due - now + 999999) / 1000000 : 0, 0);
}

/* Tasks wait, and nothing that is left could wake one: no timer, no handle, no request, nothing ready. Says who
 * waits where, and cancels them all, so that each gives back what it holds. */
static void break_deadlock(gl_host *h) {
  unsigned int alarm = uv_is_active((uv_handle_t *)&h->alarm) ? 1 : 0;
  bool stuck = h->census.tasks > 0 && h->holds == 0 && !h->ready.head && !h->preempted.head && !h->turn_hooks && !h->late &&
               !gl_clock_next(&h->clock) && h->loop.active_handles == alarm && h->loop.active_reqs.count == 0 && !h->loop.closing_handles;
  if (!stuck) return;
  fputs("greenlua: deadlock: all tasks wait for each other\n", stderr);
  gl_inspect_print(h);
  if (++h->deadlocks > 3) exit(EXIT_FAILURE); /* what is left shields itself from being cancelled */
  for (gl_task *t = h->live; t; t = t->next_live) gl_task_cancel(t);
}

static void take_batch(gl_host *h) {
  h->batch = h->ready;
  h->ready = (gl_tasklist){0};
  if (!h->preempted.head) return;
  if (h->batch.tail) h->batch.tail->next = h->preempted.head;
  else h->batch.head = h->preempted.head;
  h->batch.tail = h->preempted.tail;
  h->preempted = (gl_tasklist){0};
}

/* Let the loop and the clock say what has happened; wait for it when no task is ready. Batches that follow each other closely
 * (tasks that talk to each other) share one look at the kernel, which costs more than they do. */
static void poll(gl_host *h) {
  if (h->watchdog_due) gl_preempt_restart(h);
  bool ready = h->ready.head != NULL, preempted = h->preempted.head != NULL;
  if (ready && !preempted && ++h->unpolled < POLL_BATCHES && uv_hrtime() - h->polled < POLL_NS) return;
  if (!ready && !preempted) gl_idle_begin(h);
  set_alarm(h);
  uv_run(&h->loop, ready || preempted || h->turn_hooks || h->late ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  h->unpolled = 0;
  h->polled = uv_hrtime();
  gl_clock_fire(&h->clock, h->polled);
}

void gl_host_drive(gl_host *h) {
  for (;;) {
    if (h->batch.head) gl_pulse_wake(&h->pulse);
    for (gl_task *t; (t = take(&h->batch)) != NULL;) gl_task_step(h, t);
    if (h->forked && over(h)) gl_fork_leave(h, h->deadlocks ? EXIT_FAILURE : h->exit); /* an answer is its parent's to give */
    end_turn(h, over(h));
    if (over(h)) {
      if (h->stack == h->home) return;
      gl_stack_take_home(h); /* idle, since no task is parked on it */
      gl_stack_hop_idle(h, h->home);
      continue;
    }
    break_deadlock(h);
    poll(h);
    gl_op_reap(h);
    take_batch(h);
  }
}

void gl_host_run(gl_host *h) {
  h->stop = false;
  gl_memory_serve(h, false);
  gl_host_drive(h);
}

void gl_host_close(gl_host *h) {
  GL_CHECK(h->census.parked == 0);
  gl_fork_end(h);
  while (h->jobs > 0) uv_run(&h->loop, UV_RUN_ONCE); /* they may be writing out what a Lua string holds */
  h->closing = true;
  if (h->L) lua_close(h->L);
  h->L = NULL; /* ops that are done from here on have nothing left to unpin */
  end_turn(h, true);  /* finalizers may have queued work, whose memory goes with it */
  uv_close((uv_handle_t *)&h->alarm, NULL);
  do { /* what the finalizers began to close, and what the last ops let go of */
    uv_run(&h->loop, UV_RUN_NOWAIT);
    gl_op_reap(h);
  } while (uv_loop_close(&h->loop) == UV_EBUSY && uv_loop_alive(&h->loop) && uv_run(&h->loop, UV_RUN_ONCE) >= 0);
  gl_stack_free_idle(h);
  free(h->aside.bucket);
  gl_clock_free(&h->clock);
  gl_alloc_free(&h->alloc);
  free(h->home);
  free(h->spare);
  gl_buf_free(&h->trace);
  free(h->scratch);
  gl_memory_serve(NULL, false);
  free(h);
}
