/* SPDX-License-Identifier: MIT
 *
 * Until when, and whether at all, a task may still wait. Scopes nest within a task: one may carry a deadline, be
 * cancelled by itself, or shield what runs in it from everything around it. The nearest deadline counts; whatever
 * raises once raises at every later await, as long as the scope lasts.
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
  gl_task *task;     /* NULL once left */
  uint64_t deadline; /* ns, monotonic; 0 = none of its own */
  bool shield;       /* nothing outside of it reaches in */
  bool cancelled;
};

/* Enter a scope the caller allocated. `seconds` from now, or GL_FOREVER. */
void gl_scope_enter(gl_task *t, gl_scope *s, double seconds, bool shield);

/* Leave it; harmless when left already. */
void gl_scope_leave(gl_scope *s);

/* Whatever waits or will wait inside raises ECANCELED. Calls no Lua. */
void gl_scope_cancel(gl_scope *s);

/* May the task wait? GL_DONE = yes, GL_CANCELLED, or GL_OVERDUE when a deadline is over. */
gl_outcome gl_scope_check(const gl_task *t);

/* The nearest deadline that reaches the task; 0 = none. Children inherit it. */
uint64_t gl_scope_deadline(const gl_task *t);

/* Raise what gl_scope_check says, if anything, in the name of `op`. */
void gl_scope_raise(lua_State *L, const gl_task *t, const char *op);

#endif
