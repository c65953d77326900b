/* SPDX-License-Identifier: MIT */
#include "core/runqueue.h"

#include "core/task.h"
#include "core/ticks.h"

#define LONG_SHARE 3          /* long work gets a third of the time, if it wants that much, */
#define BACKGROUND_SHARE 32   /* and background work so much, that a lock which it holds is given back */
#define MAX_DEBT_NS 10000000
#define QUANTUM_NS 2500000    /* of long work of one budget, before the next one has its turn */
#define READY_BITS 16         /* by which gl_task.ready_at is coarser than ticks */

static void append(gl_tasklist *list, gl_task *t) {
  t->state = GL_TASK_READY;
  t->ready_at = (uint32_t)(t->host->meter.last >> READY_BITS); /* when the last run ended: good enough, and it costs no look at a clock */
  t->next = NULL;
  if (list->tail) list->tail->next = t;
  else list->head = t;
  list->tail = t;
}

static gl_task *take_first(gl_tasklist *list) {
  gl_task *t = list->head;
  if (t && !(list->head = t->next)) list->tail = NULL;
  return t;
}

/* ---- long work ---- */

static void append_budget(gl_runqueue *q, gl_budget *b) {
  b->next = NULL;
  if (q->first) q->last->next = b;
  else q->first = b;
  q->last = b;
}

static void prepend_budget(gl_runqueue *q, gl_budget *b) {
  b->next = q->first;
  if (!q->first) q->last = b;
  q->first = b;
}

/* A budget whose slice was cut short before it had its quantum goes on where it was; one that gave way by itself goes to the end. */
static void add_long(gl_runqueue *q, gl_task *t, bool cut_short) {
  gl_budget *b = gl_budget_of(t);
  if (!b->queued.head && cut_short && b->deficit > 0) prepend_budget(q, b);
  else if (!b->queued.head) append_budget(q, b);
  append(&b->queued, t);
}

static void remove_first_budget(gl_runqueue *q) {
  q->first = q->first->next;
  if (!q->first) q->last = NULL;
}

/* Returns the budget whose turn it is: the first that has some of its quantum left. Each that has none gets one, and goes to the end. */
static gl_budget *current_budget(gl_runqueue *q) {
  gl_budget *b;
  while ((b = q->first)->deficit <= 0) {
    remove_first_budget(q);
    b->deficit += QUANTUM_NS;
    append_budget(q, b);
  }
  return b;
}

static gl_task *take_long(gl_runqueue *q) {
  gl_budget *b = current_budget(q);
  gl_task *t = take_first(&b->queued);
  if (!b->queued.head) remove_first_budget(q);
  return t;
}

/* ---- making ready ---- */

/* While tasks are switched at random, all work is short: how much time it took must not decide what runs next. */
static bool is_long(const gl_host *h, const gl_task *t) { return !h->shake && gl_budget_is_long(gl_budget_of(t)); }

static void add_by_class(gl_host *h, gl_task *t, bool cut_short) {
  gl_runqueue *q = &h->queue;
  if (gl_task_is_background(t)) append(&q->background, t);
  else if (is_long(h, t)) add_long(q, t, cut_short);
  else append(&q->ready, t);
}

static void refill_and_add(gl_host *h, gl_task *t) {
  gl_budget *b = gl_budget_of(t);
  if (!gl_budget_has_full_credit(b)) gl_budget_refill(h, b);
  add_by_class(h, t, false);
}

void gl_runqueue_add(gl_host *h, gl_task *t) {
  if (gl_budget_has_full_credit(t->budget) && !t->background) append(&h->queue.ready, t);
  else refill_and_add(h, t);
}

void gl_runqueue_add_preempted(gl_host *h, gl_task *t) {
  gl_budget_use_up_credit(gl_budget_of(t));
  h->queue.cut_short = h->queue.contended = true;
  add_by_class(h, t, true);
}

static bool remove_task(gl_tasklist *list, const gl_task *t) {
  gl_task *before = NULL, *at = list->head;
  while (at && at != t) {
    before = at;
    at = at->next;
  }
  if (!at) return false;
  if (before) before->next = at->next;
  else list->head = at->next;
  if (list->tail == at) list->tail = before;
  return true;
}

void gl_runqueue_lift(gl_host *h, gl_task *t) {
  if (t->state == GL_TASK_READY && remove_task(&h->queue.background, t)) gl_runqueue_add(h, t);
}

void gl_runqueue_add_switched(gl_host *h, gl_task *t) { append(&h->queue.switched, t); }

void gl_runqueue_add_now(gl_host *h, gl_task *t) {
  gl_runqueue *q = &h->queue;
  append(q->turn == GL_TURN_SHORT ? &q->batch : &q->ready, t);
}

/* ---- the turn ---- */

/* Does more long work run in this turn? Tasks that talk to each other share a turn, as long as it is brief and nobody else wants one. */
static bool long_turn_goes_on(const gl_host *h) {
  const gl_runqueue *q = &h->queue;
  return q->first && !q->ready.head && !q->cut_short && !h->turn_hooks && !gl_host_has_left_over(h) && !h->exhausted && !q->switched.head &&
         h->meter.last - q->turn_began < h->meter.brief;
}

gl_task *gl_runqueue_next(gl_host *h) {
  gl_runqueue *q = &h->queue;
  gl_task *t;
  while ((t = take_first(&q->batch)) != NULL) {
    if (q->turn != GL_TURN_SHORT || gl_budget_has_full_credit(t->budget) || !is_long(h, t)) return t;
    add_by_class(h, t, false); /* others of its budget have used up the credit meanwhile */
  }
  return q->turn == GL_TURN_LONG && long_turn_goes_on(h) ? take_long(q) : NULL;
}

static int64_t limit_debt(int64_t ns) { return ns > MAX_DEBT_NS ? MAX_DEBT_NS : ns < -MAX_DEBT_NS ? -MAX_DEBT_NS : ns; }

/* Notes what the turn that is over has taken from those who would run as well, or has given them. */
static void settle_debts(gl_runqueue *q, int64_t ns) {
  if (q->turn == GL_TURN_LONG) q->owed_to_long -= ns;
  else if (q->long_waited) q->owed_to_long += ns / (LONG_SHARE - 1);
  if (q->turn == GL_TURN_BACKGROUND) q->owed_to_background -= ns;
  else if (q->background_waited) q->owed_to_background += ns / (BACKGROUND_SHARE - 1);
  q->owed_to_long = limit_debt(q->owed_to_long);
  q->owed_to_background = limit_debt(q->owed_to_background);
}

static gl_turn choose(const gl_runqueue *q) {
  if (q->ready.head && q->gave_way) return GL_TURN_SHORT;
  if (q->first && q->owed_to_long > 0) return GL_TURN_LONG;
  if (q->background.head && q->owed_to_background > 0) return GL_TURN_BACKGROUND;
  if (q->ready.head || q->switched.head) return GL_TURN_SHORT;
  return q->first ? GL_TURN_LONG : q->background.head ? GL_TURN_BACKGROUND : GL_TURN_SHORT;
}

static void take_short(gl_runqueue *q) {
  q->gave_way = false;
  q->batch = q->ready;
  q->ready = (gl_tasklist){0};
  if (!q->switched.head) return;
  if (q->batch.tail) q->batch.tail->next = q->switched.head;
  else q->batch.head = q->switched.head;
  q->batch.tail = q->switched.tail;
  q->switched = (gl_tasklist){0};
}

static void end_turn(gl_host *h, uint64_t now) {
  gl_runqueue *q = &h->queue;
  settle_debts(q, (int64_t)((double)(now - q->turn_began) * h->meter.rate));
  if (q->turn != GL_TURN_SHORT && !q->cut_short) q->gave_way = true;
  if (q->turn != GL_TURN_SHORT || q->cut_short) q->hogged = q->cut_short;
  q->cut_short = false;
}

static void begin_turn(gl_host *h) {
  gl_runqueue *q = &h->queue;
  q->turn = choose(q);
  q->long_waited = q->first != NULL;
  q->background_waited = q->background.head != NULL;
  if (q->turn == GL_TURN_SHORT) take_short(q);
  else append(&q->batch, q->turn == GL_TURN_LONG ? take_long(q) : take_first(&q->background));
  if (q->turn == GL_TURN_LONG && q->hogged) gl_meter_read(&h->meter);
  q->contended = q->turn != GL_TURN_SHORT || q->long_waited || q->background_waited;
}

void gl_runqueue_take_batch(gl_host *h, uint64_t now, bool slept) {
  gl_runqueue *q = &h->queue;
  bool contended = q->contended;
  if (contended) end_turn(h, now);
  gl_meter_turn(&h->meter, now, slept);
  q->turn_began = now;
  if (contended || gl_runqueue_has_long(q)) {
    begin_turn(h);
  } else {
    q->batch = q->ready;
    q->ready = (gl_tasklist){0};
  }
}

static void measure(const gl_host *h, const gl_tasklist *list, gl_queue_length *q) {
  uint32_t now = (uint32_t)(gl_ticks() >> READY_BITS);
  for (const gl_task *t = list->head; t; t = t->next) {
    uint32_t ticks = now - t->ready_at;
    double delay = (double)((uint64_t)ticks << READY_BITS) * h->meter.rate / 1e9;
    q->tasks++;
    if (delay > q->delay) q->delay = delay;
  }
}

void gl_runqueue_measure(const gl_host *h, gl_queue_length *ready, gl_queue_length *long_work, gl_queue_length *background) {
  const gl_runqueue *q = &h->queue;
  *ready = *long_work = *background = (gl_queue_length){0};
  measure(h, &q->batch, ready);
  measure(h, &q->ready, ready);
  measure(h, &q->switched, ready);
  for (const gl_budget *b = q->first; b; b = b->next) measure(h, &b->queued, long_work);
  measure(h, &q->background, background);
}

void gl_runqueue_forget(gl_runqueue *q) { *q = (gl_runqueue){0}; }
