/* SPDX-License-Identifier: MIT
 *
 * The host: one event loop, one Lua state, and the tasks that run on them. One thread, no globals;
 * a process may own several hosts. The driver (host.c) is the bottom frame of every C stack:
 *
 *     run the batch of ready tasks -> end the turn -> uv_run once -> fire timers -> next batch
 *
 * so tasks are resumed here and nowhere else, and always outside uv_run.
 */
#ifndef GL_CORE_HOST_H
#define GL_CORE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/pulse.h"

typedef struct gl_host gl_host;
typedef struct gl_op gl_op;
typedef struct gl_scope gl_scope;
typedef struct gl_stack gl_stack;
typedef struct gl_task gl_task;
typedef struct gl_owned gl_owned;

/* Work to do once at the end of this turn, after the batch ran and before the loop is asked again:
 * how many small writes become one. Intrusive, one shot; `run` must not call Lua. */
typedef struct gl_turn_hook {
  struct gl_turn_hook *next;         /* list of those queued */
  void (*run)(struct gl_turn_hook *turn); /* called once per queueing */
  uint32_t queued;                   /* number of the process (gl_host.process) in which it is on the list; 0 = on none */
} gl_turn_hook;

typedef struct gl_tasklist {
  gl_task *head, *tail;
} gl_tasklist;

typedef struct gl_opqueue { /* core/opqueue.h */
  gl_op *head, *tail;
} gl_opqueue;

/* What is alive now. The tests hold each figure against its baseline after every test. */
typedef struct gl_census {
  int64_t tasks;   /* started and not ended */
  int64_t ops;     /* allocated, not freed */
  int64_t handles; /* open sockets, servers, files, pools ... counted by their owners */
  int64_t parked;  /* C stacks left standing */
  int64_t pins;    /* Lua values held by ops */
} gl_census;

/* Scopes of coroutines that have yielded to their user, by the coroutine's address (core/scope.h). */
typedef struct gl_aside {
  gl_scope **bucket;    /* lists by gl_scope.outer, those of one coroutine outermost first */
  gl_scope *first;      /* the one bucket there is while few are aside */
  size_t n, mask;       /* how many are aside; number of buckets - 1 */
} gl_aside;

/* How much memory may be used (core/memory.h). */
typedef struct gl_memory {
  size_t limit;     /* bytes; 0 = none */
  size_t mark;      /* what was taken when `charged` got its turn */
  size_t collected; /* what was taken when garbage was last collected for the sake of a buffer */
  size_t seen;      /* bytes in use, for other threads: atomic */
  bool refuses;     /* everything, to a script, so that it collects */
  gl_task *charged; /* whose turn it is, or was */
} gl_memory;

/* What is done when nothing else is to be done (core/rest.h). */
typedef struct gl_idle_work {
  gl_timer timer;
  uint64_t beats; /* of the pulse, when that was looked at last */
  size_t mark;    /* bytes taken before the last rest ended */
  int cycles;     /* of the collector, in this one */
  bool begun;     /* this one */
} gl_idle_work;

/* What tests ordered to go wrong (core/fault.h). */
typedef struct gl_fault {
  gl_task *waiter; /* whose waits are counted */
  gl_task *taker;  /* whose allocations are */
  uint32_t waits;  /* until the one that is interrupted; 0 = it was */
  uint32_t takes;  /* until the one that is refused; 0 = it was */
  int outcome;     /* of that wait: GL_CANCELLED or GL_DEADLINE_EXCEEDED */
  const char *hit; /* name of the op it waited for, or NULL: it did not happen */
  size_t refused;  /* bytes just refused, which Lua asks for again */
} gl_fault;

/* A coroutine that ran to its end and can run again. */
typedef struct gl_spare {
  lua_State *co;
  int ref; /* its registry reference */
} gl_spare;

#define GL_SPARES 1024
#define GL_SCRATCH 65536

struct gl_host {
  uv_loop_t loop;
  lua_State *L;         /* the main state: never runs a script */
  gl_task *task;        /* the running task, NULL in the driver */
  lua_State *running;   /* the coroutine the host knows to be running */
  gl_pulse pulse;       /* beats whenever a task is resumed: the watchdog's sign of life */
  struct gl_watchdog *watchdog; /* NULL = nothing is preempted (core/preempt.h) */
  struct gl_interrupter *interrupter; /* NULL = SIGINT was never ours (core/interrupt.h) */
  struct gl_screen *screen; /* NULL = nobody edits a prompt (core/screen.h) */
  struct gl_inspector *inspector; /* NULL = SIGUSR1 is not ours (core/inspect.h) */
  bool awaiting;        /* an await is on its way down through lua_yieldk */
  bool stop;            /* gl_host_run returns after this turn: a forked child could not make its loop anew */
  bool forked;          /* this process is a child of the one that made the host (core/fork.h) */
  uint32_t process;     /* 1 in the process that made the host, one more after each fork */
  uint64_t foreign_ids; /* tasks up to this id are the parent's, but for ... */
  uint64_t forker;      /* ... the one that forked */
  bool watchdog_due;    /* ... whose watchdog is yet to be started */
  int exit;             /* ... and the code it ends with */
  bool closing;         /* the Lua state is being closed: no task will run any more */
  gl_tasklist ready;    /* made ready since the batch was taken */
  gl_tasklist preempted; /* preempted: to run when all others had their turn */
  gl_tasklist batch;    /* this turn's snapshot of ready tasks */
  gl_turn_hook *turn_hooks; /* to run at the end of this turn */
  gl_turn_hook *late, **late_end; /* left over from earlier ones, which took too long */
  gl_op *reap;          /* done after being detached: to be freed by the driver */
  gl_aside aside;       /* scopes of suspended coroutines */
  struct gl_fork_hook *fork_hooks; /* (core/fork.h) */
  struct gl_child *children; /* started and not ended (process/child.h) */
  gl_task *live;        /* every task not ended, newest first */
  uint64_t task_ids;    /* tasks made so far */
  int64_t holds;        /* reasons to keep running beside tasks: listening servers */
  bool ending;          /* those do not count any more: the script has failed, or was served and stopped */
  int64_t jobs;         /* on the thread pool now (core/work.h) */
  gl_census census;
  gl_clock clock;
  gl_alloc alloc;       /* Lua's memory, tasks, ops */
  gl_memory memory;
  gl_idle_work rest;
  gl_fault fault;
  uint64_t shake;       /* state of the generator that switches tasks at random (core/shake.h); 0 = it does not */
  uv_timer_t alarm;     /* wakes the loop for the earliest timer */
  uint64_t polled;      /* when the loop last ran, ns */
  int unpolled;         /* batches since then */
  uint64_t alarm_due;   /* what it is set to, ns; 0 = it has to be set */
  gl_stack *stack;      /* the C stack we stand on */
  gl_stack *home;       /* the caller's own stack: gl_host_run returns on it */
  gl_stack *idle;       /* stacks whose driver waits for its turn */
  int idle_stacks;      /* how many those are */
  int deadlocks;        /* how often all tasks waited for each other */
  int64_t max_parked;   /* more parked tasks than this: an error for the task that asks */
  gl_spare *spare;      /* finished coroutines to be used again */
  int spares;           /* how many those are, at most GL_SPARES */
  gl_buf trace;         /* frames an error has left behind (core/trace.h), */
  lua_State *traced;    /* and the coroutine it was raised again on */
  char *scratch;        /* GL_SCRATCH bytes any loop callback may use until it returns: what reads land in */
};

/* A new host with its loop and its Lua state (no libraries opened yet). NULL: out of memory. */
gl_host *gl_host_new(void);

/* Runs until no task is left and nothing holds the host. Call from outside any task. */
void gl_host_run(gl_host *h);

/* Closes the Lua state and the loop. No task may be parked. */
void gl_host_close(gl_host *h);

/* Run `turn` at the end of this turn (once, however often it is asked for). */
void gl_at_turn_end(gl_host *h, gl_turn_hook *turn);

/* Will `turn` run at the end of this turn? */
static inline bool gl_turn_is_queued(const gl_host *h, const gl_turn_hook *turn) { return turn->queued == h->process; }

/* Make a task ready to run in the next batch. */
void gl_host_ready(gl_host *h, gl_task *t);

/* Make a preempted task ready to run behind everything that is ready by then. */
void gl_host_ready_last(gl_host *h, gl_task *t);

/* Put a task at the end of the batch that is running now. */
void gl_host_ready_now(gl_host *h, gl_task *t);

/* Loop forever on a fresh C stack: what gl_stack starts there. */
void gl_host_drive(gl_host *h);

/* The host of any coroutine of its state, from the extra space every lua_State carries. The lowest
 * bit of that word marks a coroutine only the host may resume: one that waits, or the base of a task; the
 * next one a coroutine that has scopes aside. */
#define GL_HELD_BIT ((uintptr_t)1)
#define GL_ASIDE_BIT ((uintptr_t)2)

/* The watchdog reads it on its own thread (core/preempt.h). */
static inline void gl_host_set_running(gl_host *h, lua_State *co) { __atomic_store_n(&h->running, co, __ATOMIC_RELAXED); }

static inline uintptr_t *gl_extra(lua_State *L) { return (uintptr_t *)lua_getextraspace(L); }
static inline gl_host *gl_host_of(lua_State *L) { return (gl_host *)(*gl_extra(L) & ~(GL_HELD_BIT | GL_ASIDE_BIT)); }
static inline bool gl_coro_is_held(lua_State *co) { return (*gl_extra(co) & GL_HELD_BIT) != 0; }
static inline uv_loop_t *gl_loop(lua_State *L) { return &gl_host_of(L)->loop; }

#endif
