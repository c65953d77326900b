/* SPDX-License-Identifier: MIT
 *
 * A task is one script run: a base coroutine and what belongs to it.
 *
 *     gl_task_start, gl_task_spawn
 *              |
 *              v       gl_task_step                    gl_task_step: the base coroutine has ended
 *            READY ----------------------> RUNNING ------------------------------------------------> ENDED
 *             ^ ^                           |   |
 *             | '- a slice ends: gl_pause, -'   | gl_await
 *             |    or a yield in a hook         v
 *             '-------- gl_task_wake -------- WAITING
 *                       (gl_op_done, gl_op_detach)
 *
 * Invariants:
 *  1. The RUNNING task is h->task, and there is none while the driver runs.
 *  2. A READY task is in exactly one of the queues of h->queue (core/runqueue.h).
 *  3. A WAITING task has an op, whose `task` points back at it.
 *  4. A task that is not RUNNING and has a `stack` is parked (core/park.h); one without has yielded, or has not begun.
 *  5. h->live has every task that is not ENDED.
 *
 * The host holds a reference to a task until the task has ended, whoever spawned it holds one until the results or the error
 * are taken, and so does whoever waits for its end. The last one frees it.
 */
#ifndef GL_CORE_TASK_H
#define GL_CORE_TASK_H

#include "core/clock.h"
#include "core/host.h"

typedef enum gl_task_state { GL_TASK_READY, GL_TASK_RUNNING, GL_TASK_WAITING, GL_TASK_ENDED } gl_task_state;

/* Why a waiting task was woken. */
typedef enum gl_outcome { GL_DONE, GL_TIMED_OUT, GL_CANCELLED, GL_DEADLINE_EXCEEDED, GL_EXHAUSTED, GL_INTERRUPTED, GL_NO_STACK } gl_outcome;

/* Called once when a task has ended, by the driver. `status` is that of lua_resume; the `nresults` results, or the error, are on
 * top of t->co, and the to-be-closed variables are closed. Must not raise. */
typedef void (*gl_task_end)(gl_task *t, int status, int nresults);

struct gl_task {
  gl_host *host;
  lua_State *co;          /* base coroutine; NULL before the first step of a C task, and once it failed */
  gl_op *op;              /* the op it waits for */
  gl_op *spent;           /* an op whose push raised: freed with the next op or the task */
  char *trace;            /* traceback of its failure; NULL: it did not fail, or there was no memory */
  char *late_object;      /* what the wait that timed out was about, until the error names it; NULL = nothing to name */
  const char *detached_from; /* name of the op it was detached from, for the error */
  lua_CFunction main;     /* of a C task: called in the first step, with `owner` as light userdata */
  gl_stack *stack;        /* the C stack it left standing; NULL = it is not parked */
  gl_task *next;          /* in a queue of the host */
  gl_task *next_live, **at_live; /* in host->live */
  gl_task_end on_end;
  void *owner;            /* for on_end */
  gl_opqueue joiners;     /* ops of tasks that join this one */
  gl_owned *owned;        /* what ends with it (core/owned.h) */
  struct gl_exchange *exchange; /* what its C code asks and receives (libc/exchange.h), also when that is over; NULL = it never did */
  gl_scope *scope;        /* the innermost scope it is in (core/scope.h) */
  gl_budget *budget;      /* what its CPU time counts in: `own`, or that of the task it descends from */
  gl_budget own;
  uint64_t deadline;      /* ns, inherited from its parent; 0 = none */
  uint64_t id;            /* serial number, never used twice */
  uint64_t line;          /* id of the task that runs the line of a prompt it comes from, inherited; 0 = none */
  const char *spawn_site; /* "file:line" of its spawn, or, when it is `named`, its name; NULL = neither; owned by `owner` */
  uint32_t memory_asked;  /* grains of memory it has asked for lately; counted when there is a limit (core/memory.h) */
  int co_ref;             /* registry reference of `co`; LUA_NOREF = none */
  int error_ref;          /* registry reference of the error it failed with, which takes over co_ref; LUA_NOREF = none */
  int kept_ref;           /* registry key of what gl_task_keep has kept, or of false; LUA_NOREF = it has no coroutine */
  int context_ref;        /* registry reference of its context values; LUA_NOREF = none */
  uint32_t born;          /* loop time when it was made, ms, the low bits */
  uint32_t ready_at;      /* READY: about when it became so, ticks / 65536, the low bits (core/runqueue.h) */
  uint32_t cuts;          /* slices that it was cut at */
  int nargs;              /* arguments of the first resume; 0 afterwards */
  uint32_t refs;
  uint32_t interruptions; /* errors that have told it to end or interrupted it so far; a wait or a computation was cut short by each */
  uint32_t cleanup_us;    /* CPU time it may still use before errors are raised at it: for its clean-up (core/kill.h), */
  uint32_t closing_us;    /* and then for closing variables alone, */
  uint32_t closing_least; /* of which this must be left when it has closed what the last error made it close */
  uint16_t raise_in;      /* > 0: an error is due, and raised after so many instructions at the latest (core/kill.h) */
  uint16_t kill_count;    /* attempts to end it that it survived: odd = an error was raised, even = then it had a slice more */
  uint16_t atomic;        /* atomic sections it is in: nothing in there may wait or is preempted (core/scope.h) */
  uint16_t locks_lifted;  /* locks it holds for which somebody waits who is not in the background: neither is it meanwhile */
  uint16_t background;    /* background sections it is in, and one more when its parent was in one: it runs behind all others */
  uint8_t state;          /* gl_task_state */
  uint8_t outcome;        /* gl_outcome */
  uint8_t status;         /* once ended: that of lua_resume */
  uint8_t memory_epoch;   /* when `memory_asked` was last faded: bytes ever taken / limit, the low bits */
  bool cancelled : 1;     /* sticky: each further await raises */
  bool exhausted : 1;     /* its budget is, or one around it (core/budget.h): each further await raises */
  bool interrupted : 1;   /* one-shot: the next await, or the end of the slice, raises */
  bool interrupting : 1;  /* "interrupted!" was raised in a coroutine of the script, and is on its way to the task (core/coro.c) */
  bool line_interrupted : 1; /* gl_task_interrupt_line has reached it: the next time cancels it */
  bool end_requested : 1; /* an error has asked it to end, and nothing has retracted that (core/scope.h) */
  bool trace_cancel : 1;  /* its cancellation is logged, and so needs a traceback */
  bool joined : 1;        /* somebody took the result or the error */
  bool exposed : 1;       /* the script holds its coroutine (coroutine.running), so that it must not be reused */
  bool start_deferred : 1; /* its start was put off by one batch: memory was scarce */
  bool has_kept : 1;      /* gl_task_keep has kept a value at kept_ref */
  bool overlong : 1;      /* its atomic section has used up its time, and is preempted like anything else (core/preempt.h) */
  bool lifted : 1;        /* somebody who is not in the background waits for its end: neither is this task any more */
  bool forked : 1;        /* this process is the child that it forked (core/fork.h): what it serves, the parent answers */
  bool system : 1;        /* gl_task_spawn_system, gl_task_spawn_daemon */
  bool daemon : 1;        /* gl_task_spawn_daemon */
  bool named : 1;         /* spawn_site is a name: "job receipt 12" */
  bool cut_short : 1;     /* a wait of its C code was cut short: the error is raised once that code is back in Lua (core/back.h) */
  bool trespasses : 1;    /* its C code has an object that another task's C code is in the middle of (libc/hold.h) */
  bool midway : 1;        /* its C code has waited, others want the same object, and it is not back in Lua yet (libc/hold.h) */
  bool graced : 1;        /* a program told to stop waits for it: it comes from a request, or has a signal to handle */
};

/* Returns what stands before spawn_site in a text. */
static inline const char *gl_task_spawn_words(const gl_task *t) { return t->named ? "" : "spawned at "; }

/* Makes a task that will call `main(owner)` as a C function on a fresh or reused coroutine. Calls no Lua, so that loop
 * callbacks may use it. The task is made ready at once: `now` = in the batch that is running, else in the next one.
 * NULL: out of memory. */
gl_task *gl_task_start(gl_host *h, lua_CFunction main, void *owner, gl_task_end on_end, bool now);

/* Makes a task that will call the function on L with the `nargs` arguments on top of it (pops both), in the next batch. One
 * reference is the caller's: gl_task_unref. The task inherits deadline, line and grace of the running one. NULL: out of
 * memory, and nothing was popped. */
gl_task *gl_task_spawn(lua_State *L, int nargs, void *owner, gl_task_end on_end);

/* The same for a system task: it works on behalf of the running task (puts a connection right, say) and inherits nothing
 * from it. gl_task_cancel_all spares it, so that the end of the script waits for it. */
gl_task *gl_task_spawn_system(lua_State *L, int nargs, void *owner, gl_task_end on_end);

/* The same for a system task that has no end of its own: the program does not go on for its sake. When daemons alone are left, and nothing
 * holds the host, they are cancelled, and the program ends once they have ended. */
gl_task *gl_task_spawn_daemon(lua_State *L, int nargs, void *owner, gl_task_end on_end);

/* Does the task run in another process, the parent of this forked child? It then never runs in this one, and nothing writes
 * to it. */
static inline bool gl_task_is_foreign(const gl_task *t) {
  return t->id <= t->host->foreign_ids && t->id != t->host->forker && t->state != GL_TASK_ENDED;
}

/* Does the task run behind all others? */
static inline bool gl_task_is_background(const gl_task *t) { return t->background && !t->lifted && !t->locks_lifted; }

/* Removes an ended task from h->live and the census. For core/step.c. */
void gl_task_unlink(gl_task *t);

/* Ends the wait of the task for this reason: makes it ready, unless it is still on its way into the await, or ready already.
 * Calls no Lua. */
void gl_task_wake(gl_task *t, gl_outcome outcome);

/* Drops a reference. Changes the registry, but runs no Lua code and never raises. */
void gl_task_unref(gl_task *t);

/* Logs the error that a task ended with (core/log.h), with its traceback; `what` says whose error it is ("GET /orders"). The
 * error that a peer has left is not logged. Never raises. */
void gl_task_log_error(gl_task *t, const char *what);

#endif
