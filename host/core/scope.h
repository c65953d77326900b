/* SPDX-License-Identifier: MIT
 *
 * Until when, and whether at all, a task may still wait. Scopes nest within a task: one may carry a deadline, be
 * cancelled by itself, or shield what runs in it from everything around it. The nearest deadline counts; whatever
 * raises once raises at every later await, as long as the scope lasts. An atomic section is a scope in which nothing may wait.
 *
 *     task (cancelled? deadline inherited from its parent)
 *       '- scope deadline 5 s
 *            '- scope shield 1 s       <- only this one matters to an await in here
 */
#ifndef GL_CORE_SCOPE_H
#define GL_CORE_SCOPE_H

#include "core/task.h"

struct gl_scope {
  gl_scope *outer;
  lua_State *co;     /* the coroutine that entered it; NULL once left */
  gl_task *task;     /* NULL while that coroutine is suspended */
  uint64_t deadline; /* ns, monotonic; 0 = none of its own */
  bool shield;       /* nothing outside of it reaches in */
  bool cancelled;
  bool atomic;       /* nothing in it may wait, yield out of it, or is preempted */
};

/* Enter a scope the caller allocated, on the running coroutine. `seconds` from now, or GL_FOREVER. */
void gl_scope_enter(lua_State *L, gl_scope *s, double seconds, bool shield);

/* Enter an atomic section: in there every await raises EATOMIC, and the task keeps the CPU until it has left the outermost
 * one, or has been in it for GL_ATOMIC_MS: see core/preempt.h. */
void gl_scope_enter_atomic(lua_State *L, gl_scope *s);

/* Is `co`, which runs, in an atomic section that it entered itself? It must not yield to whoever resumed it then. */
bool gl_scope_holds(const gl_task *t, const lua_State *co);

/* Leave it; harmless when left already. */
void gl_scope_leave(gl_host *h, gl_scope *s);

/* Is the task within a shield now? */
bool gl_scope_shields(const gl_task *t);

/* `co` yielded to whoever resumed it: the scopes it is in do not bind what runs meanwhile. */
void gl_scope_suspend(gl_host *h, lua_State *co);

/* `co`, which has scopes aside (GL_ASIDE_BIT), is about to go on, in whichever task: so do its scopes. */
void gl_scope_resume(gl_host *h, lua_State *co);

/* `co` ended: it has left all its scopes. */
void gl_scope_abandon(gl_host *h, lua_State *co);

/* Whatever waits or will wait inside raises ECANCELED; but a shield holds. Calls no Lua. */
void gl_scope_cancel(gl_scope *s);

/* May the task wait? GL_DONE = yes, GL_CANCELLED, GL_INTERRUPTED, or GL_DEADLINE_EXCEEDED when a deadline is over. */
gl_outcome gl_scope_check(const gl_task *t);

/* The nearest deadline that reaches the task; 0 = none. Children inherit it. */
uint64_t gl_scope_deadline(const gl_task *t);

/* Raise what gl_scope_check says, if anything, in the name of `op`. */
void gl_scope_raise(lua_State *L, gl_task *t, const char *op);

/* Raise lua's own "interrupted!". Once: the task may catch it and go on. */
int gl_scope_interrupt(lua_State *L, gl_task *t);

#endif
