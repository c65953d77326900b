/* SPDX-License-Identifier: MIT
 *
 * Telling tasks to end. Cancellation is sticky: the pending await raises ECANCELED, and so does each later one. An
 * interruption (Ctrl-C) is raised once. What runs within a shield (core/scope.h) is not reached. None of these calls Lua, so
 * that loop callbacks may use them.
 */
#ifndef GL_CORE_CANCEL_H
#define GL_CORE_CANCEL_H

#include "core/scope.h"

/* Cancels a task. Harmless when it has ended. */
void gl_task_cancel(gl_task *t);

/* Cancels every task but the system's: the program ends. */
void gl_task_cancel_all(gl_host *h);

/* Cancels the daemons (gl_task_spawn_daemon). */
void gl_task_cancel_daemons(gl_host *h);

/* Ends all tasks whose budget is exhausted (core/budget.h), as a cancel does, but with an error of its own. For the driver. */
void gl_task_end_exhausted(gl_host *h);

/* Raises "interrupted!" in the task, once: where it waits or will wait next, or at the end of its slice. */
void gl_task_interrupt(gl_task *t);

/* Ctrl-C for the line of a prompt: interrupts the task with this id, and cancels all tasks that come from the line. A second
 * time it cancels that task as well. */
void gl_task_interrupt_line(gl_host *h, uint64_t line);

/* Cancels what runs in the scope. No-op for a shield, and for a scope that was left. */
void gl_scope_cancel(gl_scope *s);

#endif
