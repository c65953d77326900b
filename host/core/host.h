/* SPDX-License-Identifier: MIT
 *
 * The host: one event loop, one Lua state, and the tasks that run on them. It belongs to one thread and uses no globals;
 * a process may own several hosts. This header has the struct; core/runqueue.h has the queues that tasks become ready in, and the
 * driver (core/driver.h) empties them.
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
#include "core/budget.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/pulse.h"
#include "core/runqueue.h"

typedef struct gl_host gl_host;
typedef struct gl_op gl_op;
typedef struct gl_scope gl_scope;
typedef struct gl_stack gl_stack;
typedef struct gl_task gl_task;
typedef struct gl_owned gl_owned;

/* A call at the end of this turn: after the batch ran, and before the loop is polled. Many small writes become one so.
 * It is intrusive and one-shot; `run` must not call Lua. */
typedef struct gl_turn_hook {
  struct gl_turn_hook *next;              /* list of the queued ones */
  void (*run)(struct gl_turn_hook *hook); /* called once per queueing */
  uint32_t queued;                        /* number of the process (gl_host.process) in which it is on the list; 0 = it is on none */
} gl_turn_hook;

typedef struct gl_opqueue { /* core/opqueue.h */
  gl_op *head, *tail;
} gl_opqueue;

/* A hook of a coroutine where ours is now, to be put back (core/hook.h). */
typedef struct gl_saved_hook {
  lua_State *L; /* NULL = none is saved */
  lua_Hook hook;
  int mask, count;
  int left;     /* instructions that it has still to count (core/hookcount.h) */
} gl_saved_hook;

/* What is alive now. The tests compare each figure with its baseline after every test. */
typedef struct gl_census {
  int64_t tasks;   /* started and not ended */
  int64_t ops;     /* allocated and not freed */
  int64_t handles; /* open sockets, servers, files, pools ...; their owners count them */
  int64_t parked;  /* C stacks that tasks have left standing */
  int64_t pins;    /* Lua values held by ops */
} gl_census;

/* The scopes of coroutines that have yielded to their users, hashed by the coroutine's address (core/scope.h). */
typedef struct gl_suspended_scopes {
  gl_scope **bucket;    /* lists by gl_scope.outer; of one coroutine the outermost scope comes first */
  gl_scope *first;      /* the only bucket, while there are few scopes */
  size_t n, mask;       /* number of scopes; number of buckets - 1 */
} gl_suspended_scopes;

/* How much memory may be used (core/memory.h). */
typedef struct gl_memory {
  size_t limit;      /* bytes; 0 = none */
  size_t step_began; /* alloc.allocated when the step of `account` began: what was taken since is that task's */
  size_t collected;  /* alloc.allocated when garbage was last collected for the sake of a buffer */
  size_t published;  /* bytes in use, for other threads; atomic */
  bool refuses;      /* the script gets no memory at all, so that Lua collects garbage */
  gl_task *account;  /* the task whose account allocations go to: the one that runs, or ran last; NULL = none */
} gl_memory;

/* What the host puts in order while it has nothing else to do (core/idle.h). */
typedef struct gl_idle_work {
  gl_timer timer;
  uint64_t beats; /* beats of the pulse at the last look */
  size_t mark;    /* alloc.allocated when the last idle work ended */
  int cycles;     /* collector cycles completed in this idle work */
  bool begun;     /* the first slice of this idle work has run */
} gl_idle_work;

/* What is known of slices (core/preempt.h). Those that are volatile are written in a signal handler, too. */
typedef struct gl_slices {
  uint64_t count;                  /* slices used up by all tasks */
  volatile bool hooks_change;      /* core/hook.c saves a hook, or puts one back: the signal handler sets none */
  volatile bool asked;             /* the script has a count hook: the slice ends when that was called (h->user_hook_ran) */
  volatile uint64_t deferred_beat; /* the step whose slice ended in an atomic section */
  volatile uint64_t section;       /* id of the task in an atomic section, */
  volatile uint64_t section_began; /* and the CPU time, us, at which the section was first seen */
  lua_State *volatile forced_on;   /* the last coroutine on which hooks were off and were switched on (core/allowhook.h); NULL = never */
  volatile uint64_t set_at;        /* CPU time, us, at which the hook was last set */
  volatile uint64_t off_beat;      /* the step in which a slice has ended while hooks were off, */
  volatile uint64_t off_since;     /* and the CPU time, us, at which that was first seen */
  const lua_State *alone_on;       /* the coroutine that runs where no task can make way (core/alone.h); NULL = none was seen, */
  uint64_t alone_beat;             /* the step in which it was, */
  uint64_t alone_since;            /* the CPU time, us, at which it was first seen, */
  int alone_looks;                 /* the looks at the clock since, */
  bool alone_over;                 /* and whether its time is up */
} gl_slices;

/* Faults that a test has ordered (core/fault.h). */
typedef struct gl_fault {
  gl_task *waiter; /* the task whose waits are counted */
  gl_task *taker;  /* the task whose allocations are counted */
  gl_task *ender;  /* the task that is cancelled at an instruction (core/preempt.h) */
  uint32_t waits;  /* waits until the one that is interrupted; 0 = that was it */
  uint32_t takes;  /* allocations until the one that is refused; 0 = that was it */
  int outcome;     /* how the wait is interrupted: GL_CANCELLED or GL_DEADLINE_EXCEEDED */
  const char *hit; /* name of the op whose wait was interrupted; NULL = none was */
  size_t refused;  /* bytes just refused, which Lua asks for again after it has collected */
} gl_fault;

/* A base coroutine whose task has ended, to be used again (core/base.h). */
typedef struct gl_spare {
  lua_State *co;
  int ref; /* its registry reference */
} gl_spare;

#define GL_SPARES 1024
#define GL_SCRATCH 65536

struct gl_host {
  uv_loop_t loop;
  lua_State *L;                 /* the main state; no script runs on it */
  gl_census census;

  /* ---- what runs now ---- */
  gl_task *task;                /* the running task; NULL in the driver */
  lua_State *running;           /* the coroutine that the host knows to be running; read by the watchdog's thread */
  bool awaiting;                /* an await is on its way down through lua_yieldk */
  gl_pulse pulse;               /* beats with every step of a task: the watchdog's sign of life */

  /* ---- queues ---- */
  gl_runqueue queue;            /* tasks that are ready */
  gl_meter meter;               /* whose CPU time it is */
  bool exhausted;               /* a budget is exhausted: the driver ends its tasks */
  gl_turn_hook *turn_hooks;     /* hooks to run at the end of this turn */
  gl_turn_hook *late, **late_end; /* hooks of earlier turns for which there was no time; where the list ends */
  gl_turn_hook *chores, **chores_end; /* hooks that take long, oldest first; where the list ends */
  gl_op *reap;                  /* ops done after they were detached: the driver frees them */
  gl_task *live;                /* all tasks not ended, newest first */
  uint64_t task_ids;            /* tasks made so far */

  /* ---- the driver (core/driver.c) ---- */
  gl_clock clock;
  uv_timer_t alarm;             /* wakes the loop for the earliest timer of the clock */
  uint64_t alarm_due;           /* when the alarm is set to go off, ns; 0 = it has to be set */
  uint64_t polled;              /* when the loop was last polled, ticks */
  int unpolled;                 /* batches since then */
  int64_t daemons;              /* of the tasks: those that nothing waits for (gl_task_spawn_daemon) */
  int deadlocks;                /* how often all tasks waited for each other */
  int64_t holds;                /* reasons to go on when no task is left: listening servers, output on its way */
  int64_t jobs;                 /* jobs on the thread pool now (core/work.h) */
  bool ending;                  /* `holds` does not count any more: the script has failed, or was served and stopped */
  bool stop;                    /* gl_host_run returns after this turn: a forked child could not make its loop anew */
  bool closing;                 /* the Lua state is being closed: no task will run any more */

  /* ---- C stacks (core/stack.c) ---- */
  gl_stack *stack;              /* the one this thread stands on */
  gl_stack *home;               /* the caller's own, on which gl_host_run returns */
  gl_stack *idle;               /* stacks on which a driver waits to go on */
  int idle_stacks;              /* how many those are */
  int64_t max_parked;           /* a task that would park beyond this many gets an error */
  void (*drive)(gl_host *h);    /* the first frame of a new stack: the driver */

  /* ---- C modules that wait (host/libc/) ---- */
  void *(*on_leave)(gl_host *h, gl_task *t);  /* the running task is about to leave its C stack standing; or NULL */
  void (*on_return)(gl_host *h, gl_task *t, void *left); /* the task is back on that stack; `left` is what on_leave has returned */
  void (*on_make_way)(gl_host *h, gl_task *t, uint32_t us); /* the running task, which has an `exchange`, makes way for others, after so
                                 much CPU time: it has used up a slice, or is switched; or NULL */
  void (*on_wait)(gl_host *h, gl_task *t); /* it is about to wait */
  void (*on_torn)(gl_host *h, gl_task *t); /* an error that ends or interrupts it is about to be raised */
  const void *back_from;        /* the call whose return back_hook waits for (core/back.c): CallInfo of lua_Debug */

  /* ---- coroutines ---- */
  gl_spare *spare;              /* base coroutines to be used again */
  int spares;                   /* how many those are, at most GL_SPARES */
  gl_suspended_scopes suspended_scopes;
  gl_buf trace;                 /* frames that an error has left behind (core/trace.h), */
  lua_State *traced;            /* and the coroutine on which the error was raised again */

  /* ---- memory ---- */
  gl_alloc alloc;               /* Lua's memory, tasks, ops */
  gl_memory memory;
  gl_idle_work idle_work;
  char *scratch;                /* GL_SCRATCH bytes any loop callback may use until it returns: reads land here */
  gl_buf spare_output;          /* empty: what one stream's output left for the next one (net/stream.c) */

  /* ---- preemption (core/preempt.h, kill.h, shake.h): what hook.c and scope.c, on which those are built, know of it as well ---- */
  struct gl_watchdog *watchdog; /* NULL = nothing is preempted (core/watchdog.h) */
  gl_slices slices;
  gl_saved_hook foreign_hook;   /* the hook of a C module that the preemption's stands in for, */
  gl_saved_hook back;           /* and the hook that back_hook stands in for; both of a coroutine that has not stopped running (core/hook.h) */
  uint32_t kill_random;         /* state of the random generator of core/kill.c; 0 = it has drawn nothing yet */
  lua_Hook preempt_hook;        /* the hook that ends a slice; NULL = never set */
  lua_Hook back_hook;           /* the hook that waits for C code to be back in Lua; NULL = never set */
  lua_Hook shake_hook;          /* the hook that switches at random; NULL = never set */
  void (*user_hook_ran)(lua_State *L, const lua_Debug *ar); /* a count hook of the user's was called: a moment to preempt; may raise; or NULL */
  void (*atomic_section_left)(gl_task *t); /* the task left its outermost atomic section; or NULL */
  uint64_t shake_seed;          /* what --shake said: failures are reported with it; 0 = there was no such option */
  uint64_t shake;               /* state of the random generator; 0 = it does not switch */

  /* ---- a process of its own (core/fork.c) ---- */
  struct gl_fork_hook *fork_hooks;
  uint32_t process;             /* 1 in the process that made the host, one more after each fork */
  uint64_t foreign_ids;         /* tasks up to this id are the parent's, but for the one that forked, */
  uint64_t forker;              /* which has this id; 0 = none */
  bool forked;                  /* this process is a child of the one that made the host, */
  bool watchdog_due;            /* the watchdog of the child is yet to be started, */
  int exit;                     /* and the child ends with this code */

  /* ---- services; NULL = not in use ---- */
  struct gl_interrupter *interrupter; /* SIGINT (core/interrupt.h) */
  struct gl_inspector *inspector;     /* SIGUSR1 (core/inspect.h) */
  struct gl_prompt *prompt;           /* a prompt edited on the terminal (core/prompt.h) */
  struct gl_resolver *resolver;       /* names (core/resolver.h) */
  gl_fault fault;                     /* faults that a test has ordered */
};

/* Runs `hook` at the end of this turn; once, however often it is queued. */
void gl_at_turn_end(gl_host *h, gl_turn_hook *hook);

/* Runs `hook`, which takes long for a loop callback (a millisecond), at the end of this turn or of a later one: each turn has a little
 * time for such hooks, after its others, so that a thousand of them hold nobody up. First come, first served. */
void gl_at_turn_end_long(gl_host *h, gl_turn_hook *hook);

/* Will `hook` run at the end of this turn, or of a later one? */
static inline bool gl_turn_is_queued(const gl_host *h, const gl_turn_hook *hook) { return hook->queued == h->process; }

/* Runs the hooks of this turn and those left over, within limits of time unless `all`. For the driver. */
void gl_host_end_turn(gl_host *h, bool all);

/* Are there hooks left over, whose time is the next turn's? */
static inline bool gl_host_has_left_over(const gl_host *h) { return h->late || h->chores; }

/* Every lua_State carries its host in its extra space. The lowest bit of that word marks a held coroutine, which only the
 * host may resume: the base of a task, or a coroutine that waits in an await. The next bit marks a coroutine that has
 * scopes in h->suspended_scopes. */
#define GL_HELD_BIT ((uintptr_t)1)
#define GL_SUSPENDED_BIT ((uintptr_t)2)

/* Puts back the hooks that ours stand in for (core/hook.h). */
void gl_hook_leave(gl_host *h);

/* Notes that `co` runs now (NULL: none does). What ran before gets back the hook that the preemption had taken over there; it may be gone when it would
 * run again. The signal handler may take a hook over between any two instructions: only once `co` is noted it does so on nothing but `co`. */
static inline void gl_host_set_running(gl_host *h, lua_State *co) {
  __atomic_store_n(&h->running, co, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (h->foreign_hook.L || h->back.L) gl_hook_leave(h);
}

static inline uintptr_t *gl_extra(lua_State *L) { return (uintptr_t *)lua_getextraspace(L); }
static inline gl_host *gl_host_of(lua_State *L) { return (gl_host *)(*gl_extra(L) & ~(GL_HELD_BIT | GL_SUSPENDED_BIT)); }
static inline bool gl_coro_is_held(lua_State *co) { return (*gl_extra(co) & GL_HELD_BIT) != 0; }
static inline uv_loop_t *gl_loop(lua_State *L) { return &gl_host_of(L)->loop; }

/* Does a finalizer run? Lua reports a negative count within one only. Safe in a signal handler. */
static inline bool gl_in_finalizer(lua_State *L) { return lua_gc(L, LUA_GCCOUNT, 0) < 0; }

#endif
