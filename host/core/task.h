/* SPDX-License-Identifier: MIT
 *
 * A task: one script run. A base coroutine and what belongs to it.
 *
 *     READY -> RUNNING -> WAITING -> READY -> ... -> ENDED
 *
 * A task is referenced by the host while it lives, by who waits for its end, and by who spawned it until he has what it
 * left behind; the last to let go frees it.
 */
#ifndef GL_CORE_TASK_H
#define GL_CORE_TASK_H

#include "core/clock.h"
#include "core/host.h"

typedef enum gl_task_state { GL_TASK_READY, GL_TASK_RUNNING, GL_TASK_WAITING, GL_TASK_ENDED } gl_task_state;

/* Why a waiting task was woken. */
typedef enum gl_outcome { GL_DONE, GL_TIMED_OUT, GL_CANCELLED, GL_DEADLINE_EXCEEDED, GL_INTERRUPTED, GL_NO_STACK } gl_outcome;

/* Told once when a task ends, by the driver: `status` is that of lua_resume, the `nresults` results
 * (or the error) are on top of t->co; its to-be-closed variables are closed. Must not raise. */
typedef void (*gl_task_end)(gl_task *t, int status, int nresults);

struct gl_task {
  gl_host *host;
  lua_State *co;          /* base coroutine; NULL before the first step of a C task */
  gl_op *op;              /* what it waits for */
  gl_op *spent;           /* an op whose push raised; freed with the next op or the task */
  char *trace;            /* once failed: where, taken before its frames went; before: what it waited for in vain; or NULL */
  union {
    lua_CFunction main;   /* before the first step of a C task: what to call, with `owner` as light userdata */
    const char *detached_from; /* afterwards: name of the op it was detached from, for the error */
  };
  gl_stack *stack;        /* the C stack it left standing; NULL = it yielded */
  gl_task *next;          /* in a ready list */
  gl_task *next_live, **at_live; /* in host->live */
  gl_task_end on_end;
  void *owner;            /* for on_end */
  gl_opqueue joiners;     /* ops of tasks that join this one */
  gl_owned *owned;        /* what ends with it (core/owned.h) */
  gl_scope *scope;        /* innermost scope it is in (core/scope.h) */
  uint64_t deadline;      /* ns, inherited from its parent; 0 = none */
  uint32_t slices;        /* how often it was made to make way: slices of CPU it used up */
  uint32_t max_slices;    /* more is over its CPU limit; 0 = no limit */
  uint32_t cpu_limit_slices; /* that limit, from when it began to count */
  float cpu_limit;        /* and in seconds, as it was given */
  uint32_t memory_asked;  /* memory it asked for lately, in grains, when there is a limit (core/memory.h) */
  int context_ref;        /* registry: its context values, or LUA_NOREF */
  const char *spawn_site; /* "file:line" of its spawn, or NULL; its owner's */
  uint64_t id;            /* serial number, never used twice */
  uint64_t line;          /* id of the task that runs the line of a prompt it comes from, inherited; 0 = none */
  int co_ref;             /* registry reference of co; once it failed, of the error */
  uint32_t born;          /* loop time, ms, the low bits */
  int nargs;              /* for the first resume; then 0 */
  uint32_t refs;
  uint16_t kill_count;    /* errors raised at it while it hogged, and turns it was given between them */
  uint8_t cleanup_slices; /* slices it may still use up before that: it was told to end (core/scope.h) */
  uint8_t state;          /* gl_task_state */
  uint8_t outcome;        /* gl_outcome */
  uint8_t status;         /* once ended: that of lua_resume */
  uint8_t memory_epoch;   /* which while that was */
  uint16_t atomic;        /* sections of task.atomic it is in: nothing in there may wait, nor is preempted (core/scope.h) */
  bool cancelled : 1;     /* sticky: each further await raises */
  bool interrupted : 1;   /* once: the next await, or end of a slice, raises */
  bool interrupting : 1;  /* that was in a coroutine of the script's, and is for the task (core/coro.h) */
  bool asked_to_stop : 1; /* by gl_task_interrupt_line */
  bool end_requested : 1; /* to end; until it need not any more */
  bool trace_cancel : 1;  /* its cancellation is logged: where it was is of interest */
  bool joined : 1;        /* somebody took the result or the error */
  bool exposed : 1;       /* the script holds its coroutine (coroutine.running): not to be reused */
  bool start_deferred : 1; /* its beginning was, once, for want of memory */
  bool has_kept : 1;      /* a value: gl_task_keep */
  bool overlong : 1;      /* its atomic section has used up its time: it is preempted again (core/preempt.h) */
  bool forked : 1;        /* this process is the child, which it forked (core/fork.h): what it serves, the parent answers */
  bool system : 1;        /* gl_task_spawn_system */
  bool graced : 1;        /* a program that is told to stop waits for it: it comes from a request, or was told itself */
};

/* A task that will run `main(owner)` as a C function on a fresh or reused coroutine. Calls no Lua, so
 * loop callbacks may use it. It is made ready at once: `now` = in the batch that is running, else in the
 * next. NULL: out of memory. */
gl_task *gl_task_start(gl_host *h, lua_CFunction main, void *owner, gl_task_end on_end, bool now);

/* A task that will run the function and `nargs` arguments on top of L (popped), in the next
 * batch. NULL: out of memory, nothing was popped. One reference is the caller's: gl_task_unref. */
gl_task *gl_task_spawn(lua_State *L, int nargs, void *owner, gl_task_end on_end);

/* The same for a system task: work done on behalf of whoever runs now (a connection that is put right, say), which has
 * nothing of his: no deadline, no line of a prompt. The end of the script cancels the others and waits for it. */
gl_task *gl_task_spawn_system(lua_State *L, int nargs, void *owner, gl_task_end on_end);

/* Cancel: the pending await raises "cancelled", and so does each later one. Calls no Lua. */
void gl_task_cancel(gl_task *t);

/* Does it run in another process, the parent of this forked child? It never does in this one, then, and is not written to. */
static inline bool gl_task_is_foreign(const gl_task *t) {
  return t->id <= t->host->foreign_ids && t->id != t->host->forker && t->state != GL_TASK_ENDED;
}

/* The program ends: cancel every task but the system's. Calls no Lua. */
void gl_task_cancel_all(gl_host *h);

/* Raise "interrupted!" in it, once: where it waits, or will wait, or at the end of its slice. Calls no Lua. */
void gl_task_interrupt(gl_task *t);

/* Ctrl-C for the line of a prompt: interrupts the task with this id and cancels all that come from it; asked again, it is
 * cancelled as well. Calls no Lua. */
void gl_task_interrupt_line(gl_host *h, uint64_t line);

/* It may use so many seconds of CPU more, counted in slices it did not make way by itself; then it is raised at. */
void gl_task_limit_cpu(gl_task *t, double seconds);

/* Its limit of CPU, if it has one that is not used up, begins anew: it comes for its next message. */
void gl_task_renew_cpu(gl_task *t);

/* Run a ready task until it waits or ends. Only the driver calls it. */
void gl_task_step(gl_host *h, gl_task *t);

/* The await of `t` is over for this reason. Calls no Lua. */
void gl_task_wake(gl_task *t, gl_outcome outcome);

/* Keep the value on top of L (popped) until its on_end was told; of a task that failed, until the last reference is gone.
 * It has a coroutine: it was spawned, or runs. Allocates nothing. */
void gl_task_keep(lua_State *L, gl_task *t);
void gl_task_push_kept(lua_State *L, gl_task *t);

/* Drop a reference. May call Lua (luaL_unref), never raises. */
void gl_task_unref(gl_task *t);

/* Push the error that a task ended with, on `L`. False: it found no memory to begin, nothing was pushed. */
bool gl_task_push_error(lua_State *L, gl_task *t);

/* Logs that error (core/log.h), with its traceback; `what` says whose it is ("GET /orders"). One that says that a peer has
 * left is not logged. Never raises. */
void gl_task_log_error(gl_task *t, const char *what);

#endif
