/* SPDX-License-Identifier: MIT
 *
 * Which task runs next. Short work stays short beside long work, and neither starves.
 *
 * Three queues. A task that becomes ready goes into the one that its budget (core/budget.h) and its scopes say:
 *
 *                                    credit left?                  runs
 *     woken, spawned -- foreground --- yes ---> ready              all of it in one turn, each task for up to a slice (10 ms)
 *                    |                '- no --> long work          one slice a turn, of GL_LEAST_NS or longer while nobody waits
 *                    '- background -----------> background         the same
 *     used up a slice (its credit is gone) ---> long work, or background
 *
 *     turn: choose -> run its tasks -> hooks, writes -> poll the loop, fire timers -> next turn       (core/driver.c)
 *
 * Credit: the first 10 ms of CPU time of a request, with all it spawns, or of a task that belongs to none, are short work. It comes back
 * while none of its tasks runs: 1 ms for each 4 ms. What computes more than a quarter of the time is long work, whether it
 * waits in between or not.
 *
 * A slice of long work ends after 10 ms; sooner, but not before GL_LEAST_NS, when somebody is ready, when a timer is due,
 * or when the loop has something to do: the watchdog looks at the loop's own descriptor meanwhile (core/watchdog.h).
 *
 * Shares. While others run, the loop owes time to long work that is ready (1/LONG_SHARE of all time) and to background
 * work that is (1/BACKGROUND_SHARE). choose() takes what is owed something, else what is ready, else long work, else background
 * work. Debts are limited to MAX_DEBT_NS either way. But a task of long work that gives way by itself, in task.sleep(0), comes after all
 * that is ready, whatever it is owed.
 *
 * Priority inversion. Background work that somebody else waits for is not in the background meanwhile: a task that is joined, for
 * good (and the task that this one joins, and so on), and the owner of a mutex that is wanted, until it unlocks. Other things that
 * are waited for, such as a permit, have no owner that is known; so background work has a share.
 *
 * Fairness within long work is deficit round robin: the queue has budgets, each with its tasks. A budget gets QUANTUM_NS when its turn
 * comes, runs slices until they are used up, and goes to the end. What it ran longer than that is taken off its next turns.
 *
 * Invariants:
 *  1. A READY task is in exactly one of batch, ready, switched, background, and its budget's `queued`.
 *  2. A budget is in the queue of long work as long as it has `queued` tasks.
 *  3. The batch of a turn that is not GL_TURN_SHORT is one task. In a turn of long work another one may follow, while nobody else wants
 *     a turn, until GL_BRIEF_NS have passed: tasks that pass values to each other share the price of a turn.
 *
 * The worst case. A request that becomes ready is begun after at most
 *
 *     10 ms * s + m        s: tasks in front of it in `ready` that use their slices to the full; short handlers hardly add to it
 *                          m: GL_LEAST_NS, what is left of a slice of long work, and as much more for each LONG_SHARE - 1
 *                             times it that the s tasks take; a C function or an atomic section may make it longer
 *
 * and long work of n budgets gets on after at most n * QUANTUM_NS * LONG_SHARE, with a share of 1/(n * LONG_SHARE) of the time.
 */
#ifndef GL_CORE_RUNQUEUE_H
#define GL_CORE_RUNQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/budget.h"

#define GL_LEAST_NS 500000      /* a slice of long work while others wait, */
#define GL_SURPLUS_NS 200000    /* or so little when it has had more than its share */

/* What the tasks of the batch are. */
typedef enum gl_turn { GL_TURN_SHORT, GL_TURN_LONG, GL_TURN_BACKGROUND } gl_turn;

typedef struct gl_runqueue {
  gl_tasklist batch;      /* the tasks of this turn */
  gl_tasklist ready;      /* short work made ready since the batch was taken */
  gl_tasklist switched;   /* tasks that were switched at random (core/shake.h): they run behind all of `ready` */
  gl_budget *first, *last; /* the queue of long work: budgets that have some */
  gl_tasklist background;
  gl_turn turn;
  uint64_t turn_began;    /* ticks */
  bool contended;         /* work that may take long has run or waited in this turn; false: nothing of what follows has a part in it */
  bool long_waited, background_waited; /* there was such work when the turn began */
  bool cut_short;         /* the task of this turn has used up its slice */
  bool hogged;            /* the last turn of long work was cut short */
  bool gave_way;          /* long work has waited by itself, if only in task.sleep(0): what is ready runs before the next long work */
  int64_t owed_to_long;       /* ns that long work has still to get of its share; below 0: it has had more */
  int64_t owed_to_background; /* the same for background work */
} gl_runqueue;

/* Makes a task ready to run in one of the next turns. */
void gl_runqueue_add(gl_host *h, gl_task *t);

/* Makes a task that has used up its slice ready. */
void gl_runqueue_add_preempted(gl_host *h, gl_task *t);

/* The task is not in the background any more, for the time being: if it is ready, it runs among the others. */
void gl_runqueue_lift(gl_host *h, gl_task *t);

/* Makes a task ready to run behind everything that is ready when the next batch is taken, as short work. */
void gl_runqueue_add_switched(gl_host *h, gl_task *t);

/* Puts a new task at the end of the batch that is running now. */
void gl_runqueue_add_now(gl_host *h, gl_task *t);

/* Is work ready that may take long? The loop is then polled after each turn. */
static inline bool gl_runqueue_has_long(const gl_runqueue *q) { return q->first || q->background.head || q->switched.head; }

/* Is no task ready? */
static inline bool gl_runqueue_is_empty(const gl_runqueue *q) { return !q->batch.head && !q->ready.head && !gl_runqueue_has_long(q); }

/* While long or background work runs: would others run instead? */
static inline bool gl_runqueue_holds_up(const gl_runqueue *q) {
  return q->ready.head || q->switched.head || (q->turn == GL_TURN_BACKGROUND && q->first);
}

/* While long or background work runs: has it had less than its share? */
static inline bool gl_runqueue_owes(const gl_runqueue *q) {
  return (q->turn == GL_TURN_LONG ? q->owed_to_long : q->owed_to_background) > 0;
}

/* What waits in a queue: how many tasks, and for how long the first of them has, seconds. */
typedef struct gl_queue_length {
  int tasks;
  double delay;
} gl_queue_length;

/* Measures the three queues, as the drawing above has them. Goes through all of their tasks. */
void gl_runqueue_measure(const gl_host *h, gl_queue_length *ready, gl_queue_length *long_work, gl_queue_length *background);

/* Takes the next task of the turn; NULL: the turn is over. For the driver. */
gl_task *gl_runqueue_next(gl_host *h);

/* Ends the turn at `now` (ticks), and chooses what the next one runs. `slept`: as in gl_meter_turn. For the driver. */
void gl_runqueue_take_batch(gl_host *h, uint64_t now, bool slept);

/* In a forked child: forgets all tasks. */
void gl_runqueue_forget(gl_runqueue *q);

#endif
