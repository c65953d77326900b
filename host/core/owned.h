/* SPDX-License-Identifier: MIT
 *
 * Things that end with the task that owns them, however the task ends: a process that it started, say. A script does better to own
 * things by `<close>`, which waits for their end; this is for the things that a script forgets.
 */
#ifndef GL_CORE_OWNED_H
#define GL_CORE_OWNED_H

#include "core/task.h"

/* A zeroed member of the struct of the thing. */
struct gl_owned {
  gl_task *task;                  /* the owner; NULL = none */
  void (*end)(gl_owned *b, const gl_task *t); /* called when the task has ended, and the thing has no owner any more. Calls no Lua */
  gl_owned *next, **at;           /* in task->owned */
};

/* Makes `t` the owner of a thing that has none. */
void gl_own(gl_owned *b, gl_task *t, void (*end)(gl_owned *b, const gl_task *t));

/* Takes the thing from its owner. Harmless when it has none. */
void gl_disown(gl_owned *b);

/* Ends all that `t` owns, as `t` has ended. Core only. */
void gl_owned_end_all(gl_task *t);

/* Leaves all that `t` owns to nobody: in a forked child, to the parent. Core only. */
void gl_owned_release_all(gl_task *t);

#endif
