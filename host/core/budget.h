/* SPDX-License-Identifier: MIT
 *
 * A budget says how much CPU time a piece of work has used, and how much it may use: a request with all the tasks it spawns, or a task
 * that belongs to none. Tasks inherit the budget of whoever spawned them, if that has a limit; otherwise each has its own.
 *
 *     request                own ----.      its tasks share one budget, which lies in the first of them
 *       '- child             budget -' <--.
 *            '- child's child   budget ---'
 *       '- child with task.cpu_limit         own, whose `outer` is the request's: what it uses counts in both
 *
 * A task whose budget is exhausted may still spawn others in a shield, for its clean-up. Each of these has a dole: a budget of its own, within
 * that of the parent, whose limit is a part of the time that the exhausted one has left for closing variables. It is taken off that when the
 * dole begins, and what is left of it is given back when its last task has ended. So all of them together use no more than that time, and a
 * dole that is exhausted has none for clean-up.
 *
 * CPU time at no cost to an await: at the end of each run of a task its ticks (core/ticks.h) are added to `gathered`. Only when
 * GL_SETTLE_MS of them have gathered, the clock of the thread is read, which is a system call, and `gathered` becomes nanoseconds
 * at the rate of the time since that clock was read last:
 *
 *     CPU time of the thread since then / ticks in which the driver did not sleep since then
 *
 * So ticks say who has used the thread, and the thread's clock says how much of it was to be had: on a machine with more to do than it
 * has CPUs, less than the time that went by.
 *
 * Invariants:
 *  1. A budget lies in a task, its root, and each of its tasks holds a reference to that one.
 *  2. `tasks` of a budget counts its own tasks that have not ended, and those of the budgets within it.
 *  3. What is `gathered` in all budgets together was not settled yet; it is less than GL_SETTLE_MS in each, unless a run is under way.
 *  4. A budget with an `outer` has no credit: the outermost one says what is short work. Its full credit says so for a task at one look.
 *  5. The budget around a dole is exhausted, or one around that is. The tasks of the dole are not exhausted by it.
 */
#ifndef GL_CORE_BUDGET_H
#define GL_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define GL_SLICE_MS 10 /* CPU time that a task may use without waiting, and a request before it counts as long work */
#define GL_SETTLE_MS 2
#define GL_BRIEF_NS 100000 /* tasks that run after each other for so long share a look at the kernel, and one slice */
#define GL_CLEANUP_US 100000 /* CPU time that a task which was asked to end may use for its clean-up, and then for closing variables (core/kill.h) */
#define GL_MAX_DEFICIT_NS 100000000 /* of a long C call no more than this is made up for */

typedef struct gl_host gl_host;
typedef struct gl_task gl_task;
typedef struct gl_budget gl_budget;

/* Which limit a budget has reached. */
typedef enum gl_exhaustion { GL_NOT_EXHAUSTED, GL_OUT_OF_CPU, GL_OUT_OF_TASKS } gl_exhaustion;

typedef struct gl_tasklist {
  gl_task *head, *tail;
} gl_tasklist;

struct gl_budget {
  gl_budget *outer;    /* the budget that this one is a part of; NULL = none */
  gl_budget *next;     /* in the queue of long work (core/runqueue.h) */
  gl_tasklist queued;  /* its tasks in that queue; none: the budget is not in the queue */
  uint64_t cpu;        /* CPU time used, ns, as far as it is settled */
  uint32_t gathered;   /* ticks that are not settled */
  uint32_t stopped;    /* ticks / 65536 when a task of it has last stopped running, the low bits */
  int32_t credit;      /* us of CPU time that it may still use as short work; below 0: as much was used beyond */
  int32_t deficit;     /* ns that it may still run in its turn of the queue; below 0: it ran for so much longer */
  uint64_t cpu_end;    /* value of `cpu` from which on it is exhausted; 0 = there is no limit */
  float cpu_limit;     /* the limit as it was given, seconds */
  uint32_t tasks;      /* tasks that pay into it */
  uint32_t max_tasks;  /* how many it may have; 0 = any number */
  uint32_t cleanup_us; /* once exhausted: CPU time that its tasks may still use together before errors are raised at those that go on, */
  uint32_t closing_us; /* and then, before they are raised at those that close variables */
  uint8_t exhausted;   /* gl_exhaustion */
  bool told;           /* somebody was told that it is exhausted */
  bool dole;           /* the clean-up of a task beyond its limit has spawned its first task */
};

/* The clocks of a host. */
typedef struct gl_meter {
  uint64_t last;     /* ticks at the end of the last run of a task; read by the watchdog's thread */
  uint64_t slept;    /* ticks since the last reading in which the driver slept */
  uint64_t read_at;  /* ticks, */
  uint64_t mono;     /* ns of the monotonic clock, */
  uint64_t cpu;      /* and ns of the thread's clock, at the last reading */
  uint64_t settle;   /* ticks of GL_SETTLE_MS */
  uint64_t driver;   /* ticks of the driver's own work that a task pays for, at most */
  uint64_t brief;    /* ticks of GL_BRIEF_NS */
  double rate;       /* ns that a tick takes; read by the watchdog's thread */
  double cpu_rate;   /* ns of CPU time that a tick was worth between the last two readings */
} gl_meter;

/* Starts the clocks of a host that was zeroed, on the thread that will run it. */
void gl_meter_init(gl_meter *m);

/* A turn of the driver begins at `now` (ticks). The first task of the turn pays for what the driver has done since the last run, up to
 * a few microseconds: a wait costs CPU time, too. `slept`: the loop was polled with nothing to do, and may have slept. */
void gl_meter_turn(gl_meter *m, uint64_t now, bool slept);

/* Reads the clocks now, so that what comes next is weighed by itself: a system call. */
void gl_meter_read(gl_meter *m);

/* Returns about how much CPU time that was, us. */
static inline uint32_t gl_meter_us(const gl_meter *m, uint64_t ticks) { return (uint32_t)((double)ticks * m->cpu_rate / 1000); }

/* Gives a new task a budget of its own. */
void gl_budget_init(gl_task *t);

/* Makes a new task pay into the budget of its parent, if there is a limit on that; or gives it a dole, if that is exhausted. */
void gl_budget_inherit(gl_task *t, gl_task *parent);

/* Has the budget of a task that is exhausted enough time left for one more dole? */
bool gl_budget_has_dole(const gl_task *t);

/* Is the task one of the clean-up of another one that is beyond its limit? */
bool gl_budget_is_in_dole(const gl_task *t);

/* The task has ended: it counts no more. */
void gl_budget_leave(gl_host *h, gl_task *t);

/* The task is about to be freed: returns the root of the budget that it has paid into, to which a reference is dropped then; NULL: that
 * is the task itself. */
gl_task *gl_budget_root(const gl_task *t);

/* Limits the CPU time and the tasks, both as below, of a task that gl_task_start has just made. */
void gl_budget_limit_new(gl_task *t, double seconds, uint32_t max_tasks);

/* Limits the further use of CPU time by the task, and by all that it spawns from now on, to `seconds`. Beyond, all of them end with
 * ECPULIMIT. A task that pays into another's budget gets one of its own within that. The limit of a dole is not raised. False: they nest too
 * deeply, and nothing has happened. */
bool gl_budget_limit_cpu(gl_host *h, gl_task *t, double seconds);

/* Limits the number of tasks, this one and all that it spawns from now on. The next one then is refused, and all end, with ETASKLIMIT.
 * False: as above. */
bool gl_budget_limit_tasks(gl_task *t, uint32_t max);

/* Starts the CPU limit of the task's budget anew, unless it is exhausted: its handler has its next message. */
void gl_budget_renew(gl_task *t);

/* May the task spawn one more? If not, its budget is exhausted. */
bool gl_budget_admits_task(gl_host *h, gl_task *t);

/* Returns the innermost budget of the task that is exhausted, within its dole if it has one; NULL: none is. */
gl_budget *gl_budget_exhausted(const gl_task *t);

/* Charges what the thread has run since the last charge to the budget of `t`: call when a run ends, and during a run when the
 * figures have to be exact. When that exhausts the budget, `t` must end (t->exhausted), and h->exhausted tells the driver to end
 * the others. Returns how many ticks it was. */
uint64_t gl_budget_charge(gl_host *h, gl_task *t);

/* Returns the outermost budget that the task pays into: the one by which it gets the CPU. */
gl_budget *gl_budget_of(const gl_task *t);

/* Has the budget used up what it may use as short work? */
static inline bool gl_budget_is_long(const gl_budget *b) { return b->credit <= 0; }

/* Has the budget no credit to get back? If a task's budget has not, what the task does is short work. */
static inline bool gl_budget_has_full_credit(const gl_budget *b) { return b->credit == GL_SLICE_MS * 1000; }

/* A task of the budget was woken: gives credit back for the time in which none of its tasks ran. */
void gl_budget_refill(gl_host *h, gl_budget *b);

/* A task of the budget used up a slice: what comes now is long work. */
void gl_budget_use_up_credit(gl_budget *b);

#endif
