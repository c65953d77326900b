/* SPDX-License-Identifier: MIT
 *
 * Scopes say until when a task may still wait, and whether it may wait at all. They nest within a task: a scope may carry a
 * deadline, be cancelled by itself, shield what runs in it from everything around it, be atomic: nothing may wait in it, or be
 * in the background.
 * The nearest deadline counts; what was raised once is raised again at every later await, as long as the scope lasts.
 *
 *     t->scope --> shield, 1 s --> deadline 5 s --> the task: cancelled? interrupted? deadline inherited from its parent?
 *                  (innermost)      `outer`
 *                  an await in here asks from left to right, and no further than the first shield
 *
 * A scope belongs to the coroutine that entered it. When that coroutine yields to its user in the middle of a scope, the scope
 * must not bind the user; when the coroutine is resumed, perhaps by another task, the scope must bind again:
 *
 *     gen = coroutine.wrap(function() task.deadline(5, function() coroutine.yield() ... end) end)
 *     task.deadline(1, function() gen() ... gen() end)
 *
 *     in gen                    t->scope --> 5 s (gen) --> 1 s (base)
 *       | gl_scope_suspend
 *     after the yield           t->scope --> 1 s (base)                    h->suspended_scopes[gen] --> 5 s
 *       | gl_scope_resume
 *     in gen again              t->scope --> 5 s (gen) --> 1 s (base)
 *       | gl_scope_leave, or gl_scope_abandon when gen ends
 *     left                      t->scope --> 1 s (base)
 *
 * Invariants:
 *  1. A scope with a `task` is on that task's list; one without a task but with a `co` is in h->suspended_scopes; one
 *     without either was left.
 *  2. On a task's list the scopes of one coroutine stand together, and those of the coroutine it resumed further in.
 *  3. t->atomic is the number of atomic scopes on the list of `t`, and t->background that of background scopes, one more if the
 *     task was spawned in one.
 *  4. A coroutine has GL_SUSPENDED_BIT set while it has scopes in h->suspended_scopes.
 */
#ifndef GL_CORE_SCOPE_H
#define GL_CORE_SCOPE_H

#include "core/task.h"

struct gl_scope {
  gl_scope *outer;   /* the next one further out, or in a bucket of suspended scopes */
  lua_State *co;     /* the coroutine that entered it; NULL once left */
  gl_task *task;     /* the task it binds now; NULL while `co` is suspended, and once left */
  uint64_t deadline; /* ns, monotonic; 0 = none of its own */
  bool shield;       /* nothing further out reaches in */
  bool cancelled;
  bool atomic;       /* nothing in it may wait or yield out of it, and it is not preempted */
  bool background;   /* what runs in it runs behind all others */
};

/* Enters a scope, which the caller allocated, on the running coroutine of the running task. Its deadline is `seconds` from now;
 * GL_FOREVER = none. */
void gl_scope_enter(lua_State *L, gl_scope *s, double seconds, bool shield);

/* Enters an atomic section. Every await in it raises EATOMIC, and the task keeps the CPU until it has left the outermost
 * section, or has been in it for GL_ATOMIC_MS (core/preempt.h). */
void gl_scope_enter_atomic(lua_State *L, gl_scope *s);

/* Enters a background section: the task, and what it spawns in there, runs behind all others (core/runqueue.h), from when it has
 * waited next. */
void gl_scope_enter_background(lua_State *L, gl_scope *s);

/* Has `co`, which runs, itself entered an atomic section that it has not left? It must not yield to its user then. */
bool gl_scope_holds(const gl_task *t, const lua_State *co);

/* Leaves a scope, wherever it is; harmless when it was left already. */
void gl_scope_leave(gl_host *h, gl_scope *s);

/* Is the task within a shield now? */
bool gl_scope_shields(const gl_task *t);

/* Suspends the scopes of `co`, which has yielded to its user, so that they do not bind what runs meanwhile. */
void gl_scope_suspend(gl_host *h, lua_State *co);

/* Makes the suspended scopes of `co`, which is about to run on, bind the running task. Needed when GL_SUSPENDED_BIT is set. */
void gl_scope_resume(gl_host *h, lua_State *co);

/* Leaves all scopes of `co`, which has ended. */
void gl_scope_abandon(gl_host *h, lua_State *co);

/* May the task wait? GL_DONE = yes; else what reaches it first: GL_CANCELLED, GL_EXHAUSTED, GL_INTERRUPTED or
 * GL_DEADLINE_EXCEEDED. */
gl_outcome gl_scope_check(const gl_task *t);

/* The nearest deadline that reaches the task, ns; 0 = none. Children inherit it. */
uint64_t gl_scope_deadline(const gl_task *t);

/* Raises what gl_scope_check says, if anything, in the name of the operation `op`. A task that is overdue may still wait in a shield; the
 * preemption's hook comes after that. */
void gl_scope_raise(lua_State *L, gl_task *t, const char *op);

/* An error that tells the task to end, or interrupts it, is about to be raised at it: the exchange that it may be in the middle of is torn
 * (libc/exchange.h). gl_scope_raise does so by itself. */
void gl_scope_tear(gl_task *t);

/* Raises that a limit of the task's budget is reached, and which. Never returns. */
int gl_scope_raise_exhausted(lua_State *L, gl_task *t, const char *op);

/* Raises Lua's own "interrupted!", once: the task may catch it and go on. Never returns. */
int gl_scope_interrupt(lua_State *L, gl_task *t);

/* ---- the end of a task that was told to end ---- */

/* Must the task end: is it cancelled, interrupted, past its deadline or over its CPU limit? */
bool gl_scope_must_end(const gl_task *t);

/* Is the budget of the task exhausted, and have its tasks used up the time for their clean-up as well? */
bool gl_scope_is_overdue(const gl_task *t);

/* Records that an error has asked the task to end. The first such error grants it some CPU time for clean-up, in which the
 * preemption raises nothing: what its <close> variables do must not be cut short, though it be slow. */
void gl_scope_request_end(gl_task *t);

/* Grants the running task all of its time for clean-up anew: nothing can catch an error any more, and what is left is to close variables. */
void gl_scope_grant_cleanup(gl_task *t);

/* Forgets that the task was asked to end, and how often it survived that, unless it still must end or is in a shield. */
void gl_scope_retract_end(gl_task *t);

#endif
