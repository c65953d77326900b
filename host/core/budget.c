/* SPDX-License-Identifier: MIT */
#include "core/budget.h"

#include <time.h>

#include "core/check.h"
#include "core/task.h"
#include "core/ticks.h"

#define DRIVER_NS 20000          /* of the driver's work between two runs that a task pays for */
#define CREDIT_US (GL_SLICE_MS * 1000)
#define REFILL 4                 /* the part of the time that a budget may use and stay short work: 1 / REFILL */
#define STOPPED_BITS 16          /* by which gl_budget.stopped is coarser than ticks */
#define CALIBRATION_NS 1000000   /* time between two readings that tells what a tick takes */
#define MAX_DEPTH 16             /* of limits within limits */
#define GUESSED_RATE 0.4         /* until then */
#define CLEANUP_PART 20          /* the part of a CPU limit that its tasks may use beyond it for their clean-up: 1 / CLEANUP_PART, */
#define LEAST_CLEANUP_US 5000    /* or so much, */
#define TASK_CLEANUP_US 100      /* and so much for each task, which has to be told */
#define DOLE_PART 8              /* the part of what is left for closing variables that a dole is: 1 / DOLE_PART, */
#define LEAST_DOLE_US 500        /* if that is so much; else there is none; */
#define DOLE_TASKS 100           /* so many tasks share one at once, or the same part of the exhausted budget's: to end a task takes longer than to begin it */

/* ---- the clocks ---- */

static uint64_t thread_ns(void) {
  struct timespec t = {0, 0};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void set_rate(gl_meter *m, double rate) {
  __atomic_store(&m->rate, &rate, __ATOMIC_RELAXED);
  m->settle = (uint64_t)(GL_SETTLE_MS * 1e6 / rate) + 1;
  m->driver = (uint64_t)(DRIVER_NS / rate) + 1;
  m->brief = (uint64_t)(GL_BRIEF_NS / rate) + 1;
}

void gl_meter_init(gl_meter *m) {
  m->last = m->read_at = gl_ticks();
  m->mono = uv_hrtime();
  m->cpu = thread_ns();
  set_rate(m, GUESSED_RATE);
  m->cpu_rate = m->rate;
}

/* Finds out what a tick was worth since the clocks were read last. */
void gl_meter_read(gl_meter *m) {
  uint64_t mono = uv_hrtime(), cpu = thread_ns(), busy = m->last - m->read_at - m->slept;
  if (mono - m->mono >= CALIBRATION_NS && m->last > m->read_at) set_rate(m, (double)(mono - m->mono) / (double)(m->last - m->read_at));
  if (busy >= m->brief && busy < m->last && cpu >= m->cpu) { /* the clock of a thread begins anew in a forked child */
    double worth = (double)(cpu - m->cpu) / (double)busy;
    m->cpu_rate = worth < m->rate ? worth : m->rate;
  }
  m->read_at = m->last;
  m->mono = mono;
  m->cpu = cpu;
  m->slept = 0;
}

void gl_meter_turn(gl_meter *m, uint64_t now, bool slept) {
  uint64_t passed = now - m->last, paid = passed < m->driver ? passed : m->driver;
  if (slept) m->slept += passed - paid;
  __atomic_store_n(&m->last, now - paid, __ATOMIC_RELAXED);
}

/* Takes `by` off an account that may not fall below `least`. */
static void take_off(int32_t *account, uint64_t by, int32_t least) {
  if (*account <= least) return;
  *account = by < (uint64_t)((int64_t)*account - least) ? *account - (int32_t)by : least;
}

/* `paid`: a dole within it pays for that. */
static void add_cpu(gl_budget *b, uint64_t ns, bool paid) {
  uint64_t us = ns / 1000;
  uint32_t *left = b->cleanup_us ? &b->cleanup_us : &b->closing_us;
  b->cpu += ns;
  if (b->exhausted && !paid) *left = us < *left ? *left - (uint32_t)us : 0;
}

/* Turns gathered ticks into CPU time of `b` and the budgets around it. */
static void settle(gl_meter *m, gl_budget *b, uint64_t ticks) {
  gl_meter_read(m);
  uint64_t ns = (uint64_t)((double)ticks * m->cpu_rate);
  bool paid = false;
  b->gathered = 0;
  add_cpu(b, ns, paid);
  while (b->outer) {
    paid = paid || b->dole;
    add_cpu(b = b->outer, ns, paid);
  }
  take_off(&b->credit, ns / 1000, -CREDIT_US);
}

/* ---- who pays into which ---- */

void gl_budget_init(gl_task *t) {
  t->budget = &t->own;
  t->own.credit = CREDIT_US;
  t->own.tasks = 1;
}

gl_budget *gl_budget_of(const gl_task *t) {
  gl_budget *b = t->budget;
  while (b->outer) b = b->outer;
  return b;
}

static bool is_limited(const gl_budget *b) { return b->outer || b->cpu_end || b->max_tasks; }

static gl_task *root_of(gl_budget *b) { return GL_CONTAINER(b, gl_task, own); }

static uint32_t next_dole(const gl_budget *exhausted) { return exhausted->closing_us / DOLE_PART; }

bool gl_budget_has_dole(const gl_task *t) { return next_dole(gl_budget_exhausted(t)) >= LEAST_DOLE_US; }

static void start_limit(gl_budget *b) { b->cpu_end = b->cpu + (uint64_t)((double)b->cpu_limit * 1e9) + 1; }

bool gl_budget_is_in_dole(const gl_task *t) {
  const gl_budget *b = t->budget;
  while (b && !b->dole) b = b->outer;
  return b != NULL;
}

/* Makes the budget of a new task a dole within that of its parent. */
static void begin_dole(gl_budget *b, const gl_task *parent) {
  gl_budget *exhausted = gl_budget_exhausted(parent);
  uint32_t us = next_dole(exhausted);
  exhausted->closing_us -= us;
  b->outer = parent->budget;
  b->credit = 0;
  b->dole = true;
  b->cpu_limit = (float)us / 1e6f;
  b->max_tasks = exhausted->max_tasks && exhausted->max_tasks < DOLE_TASKS * DOLE_PART ? exhausted->max_tasks / DOLE_PART + 1 : DOLE_TASKS;
  start_limit(b);
}

void gl_budget_inherit(gl_task *t, gl_task *parent) {
  gl_budget *b = parent->budget;
  if (!is_limited(b)) return;
  if (parent->exhausted) begin_dole(&t->own, parent);
  else t->budget = b;
  root_of(b)->refs++;
  for (; b; b = b->outer) b->tasks++;
}

/* The last task of a dole has ended: gives back what is left of it. */
static void end_dole(gl_host *h, gl_budget *b) {
  gl_budget *exhausted = b->outer;
  if (b->gathered) settle(&h->meter, b, b->gathered);
  while (!exhausted->exhausted) exhausted = exhausted->outer;
  if (b->cpu < b->cpu_end) exhausted->closing_us += (uint32_t)((b->cpu_end - b->cpu) / 1000);
}

void gl_budget_leave(gl_host *h, gl_task *t) {
  gl_budget *b = t->budget;
  if (b == &t->own && b->outer && b->gathered) settle(&h->meter, b, b->gathered); /* it is the last chance: what is left counts in those around it */
  for (; b; b = b->outer)
    if (--b->tasks == 0 && b->dole) end_dole(h, b);
}

gl_task *gl_budget_root(const gl_task *t) {
  gl_budget *b = t->budget == &t->own ? t->own.outer : t->budget;
  return b ? root_of(b) : NULL;
}

/* ---- limits ---- */

/* Returns the budget that a limit of the task is set on: its own, which is within that of its parent. NULL: too deep within others,
 * all of which each charge goes through. */
static gl_budget *budget_to_limit(gl_task *t) {
  int depth = 0;
  if (t->budget == &t->own) return t->budget;
  for (const gl_budget *b = t->budget; b; b = b->outer) depth++;
  if (depth == MAX_DEPTH) return NULL;
  t->own.outer = t->budget;
  t->own.credit = 0;
  return t->budget = &t->own;
}

void gl_budget_limit_new(gl_task *t, double seconds, uint32_t max_tasks) {
  GL_CHECK(t->budget == &t->own && !t->own.cpu);
  t->own.cpu_limit = (float)seconds;
  t->own.max_tasks = max_tasks;
  start_limit(&t->own);
}

bool gl_budget_limit_cpu(gl_host *h, gl_task *t, double seconds) {
  if (h->task == t) gl_budget_charge(h, t);
  gl_budget *b = budget_to_limit(t);
  if (!b) return false;
  if (b->gathered) settle(&h->meter, b, b->gathered); /* what was used so far does not count */
  if (b->dole && (double)(b->cpu_end - b->cpu) <= seconds * 1e9) return true;
  b->cpu_limit = (float)seconds;
  start_limit(b);
  return true;
}

bool gl_budget_limit_tasks(gl_task *t, uint32_t max) {
  gl_budget *b = budget_to_limit(t);
  if (b && !(b->dole && b->max_tasks < max)) b->max_tasks = max;
  return b != NULL;
}

void gl_budget_renew(gl_task *t) {
  if (t->budget->cpu_end && !t->budget->exhausted && !t->budget->dole) start_limit(t->budget);
}

/* Returns the CPU time for the clean-up of all tasks of a budget: little beside a limit on that. */
static uint32_t cleanup_of(const gl_budget *b, gl_exhaustion how) {
  double us = (double)b->cpu_limit * 1e6 / CLEANUP_PART;
  us = (us > LEAST_CLEANUP_US ? us : LEAST_CLEANUP_US) + (double)b->tasks * TASK_CLEANUP_US;
  return how != GL_OUT_OF_CPU || us > GL_CLEANUP_US ? GL_CLEANUP_US : (uint32_t)us;
}

static void exhaust(gl_host *h, gl_budget *b, gl_exhaustion how) {
  if (b->exhausted) return;
  b->exhausted = (uint8_t)how;
  b->cleanup_us = b->dole ? 0 : cleanup_of(b, how);
  b->closing_us = b->dole ? 0 : GL_CLEANUP_US;
  h->exhausted = true;
}

bool gl_budget_admits_task(gl_host *h, gl_task *t) {
  for (gl_budget *b = t->budget; b; b = b->outer)
    if (b->max_tasks && b->tasks >= b->max_tasks) exhaust(h, b, GL_OUT_OF_TASKS);
  t->exhausted = gl_budget_exhausted(t) != NULL;
  return !t->exhausted;
}

gl_budget *gl_budget_exhausted(const gl_task *t) {
  gl_budget *b = t->budget;
  while (b && !b->exhausted) b = b->dole ? NULL : b->outer;
  return b;
}

/* ---- charging ---- */

void gl_budget_refill(gl_host *h, gl_budget *b) {
  uint32_t now = (uint32_t)(gl_ticks() >> STOPPED_BITS), idle = now - b->stopped;
  double us = (double)((uint64_t)idle << STOPPED_BITS) * h->meter.rate / 1000 / REFILL;
  b->stopped = now;
  b->credit = us < CREDIT_US - b->credit ? b->credit + (int32_t)us : CREDIT_US;
}

void gl_budget_use_up_credit(gl_budget *b) {
  if (b->credit > 0) b->credit = 0;
}

/* Turns what has gathered into CPU time, and sees whether that exhausts a budget. */
static void settle_and_check(gl_host *h, gl_task *t, uint64_t ticks) {
  settle(&h->meter, t->budget, ticks);
  for (gl_budget *b = t->budget; b; b = b->outer)
    if (b->cpu_end && b->cpu >= b->cpu_end) exhaust(h, b, GL_OUT_OF_CPU);
  if (!t->exhausted && gl_budget_exhausted(t)) t->exhausted = true;
}

/* Charges a run of long work, or of a budget that has credit to get back, or one that is to be settled. A slice of long work is weighed
 * by the thread's clock: others may have had the CPU in the middle of it. */
static __attribute__((noinline)) uint64_t charge_in_full(gl_host *h, gl_task *t, uint64_t now) {
  gl_meter *m = &h->meter;
  gl_budget *outermost = gl_budget_of(t);
  uint64_t run = now > m->last ? now - m->last : 0, gathered = t->budget->gathered + run;
  bool long_work = h->queue.turn != GL_TURN_SHORT;
  __atomic_store_n(&m->last, now, __ATOMIC_RELAXED);
  outermost->stopped = (uint32_t)(now >> STOPPED_BITS);
  if (gathered >= m->settle || (long_work && run >= m->brief)) settle_and_check(h, t, gathered);
  else t->budget->gathered = (uint32_t)gathered;
  if (long_work) take_off(&outermost->deficit, (uint64_t)((double)run * m->cpu_rate), -GL_MAX_DEFICIT_NS);
  return run;
}

uint64_t gl_budget_charge(gl_host *h, gl_task *t) {
  gl_meter *m = &h->meter;
  gl_budget *b = t->budget;
  uint64_t now = gl_ticks(), run = now - m->last, gathered = b->gathered + run;
  if (gathered >= m->settle || !gl_budget_has_full_credit(b) || h->queue.turn != GL_TURN_SHORT) return charge_in_full(h, t, now);
  __atomic_store_n(&m->last, now, __ATOMIC_RELAXED);
  b->gathered = (uint32_t)gathered;
  return run;
}
