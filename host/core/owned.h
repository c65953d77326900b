/* SPDX-License-Identifier: MIT
 *
 * What ends with its task, however that ends: a process it started, say. Ownership by `<close>` is better, as the end is
 * then waited for; this is for what was forgotten.
 */
#ifndef GL_CORE_OWNED_H
#define GL_CORE_OWNED_H

#include "core/task.h"

/* Zeroed, in the owner's struct. */
struct gl_owned {
  gl_task *task;                  /* NULL = nobody's */
  void (*end)(gl_owned *b, const gl_task *t);     /* the task has ended, and it belongs to nobody now. Calls no Lua */
  gl_owned *next, **at;           /* in task->owned */
};

/* It belongs to `t` from now on. */
void gl_own(gl_owned *b, gl_task *t, void (*end)(gl_owned *b, const gl_task *t));

/* It belongs to nobody any more. Harmless when it did not. */
void gl_disown(gl_owned *b);

/* Ends all that `t` owns, as `t` has ended. Core only. */
void gl_owned_end_all(gl_task *t);

/* Leaves all that `t` owns to nobody: in a forked child, to the parent. Core only. */
void gl_owned_release_all(gl_task *t);

#endif
