/* SPDX-License-Identifier: MIT
 *
 * Tasks that scripts spawn, and their handles. What a task returned, or its error and traceback, goes to its handle as values of
 * Lua's own, without a finalizer: one would keep all of it alive for one collection more, and so make each collection longer
 * than the last. A task that failed stays until somebody joins it or, a moment later, it is logged.
 *
 *     RUNNING --- on_end: it returned, keep_results -----------------------> RELEASED
 *     RUNNING --- on_end: it failed, keep_error; joined or cancelled ------> SETTLED
 *     RUNNING --- on_end: it failed, keep_error, report_later -------------> UNREPORTED
 *     UNREPORTED --- gl_spawned_settle: somebody joins --------------------> SETTLED
 *     UNREPORTED --- on_grace, a task of its own: log_failure, on_logged --> SETTLED
 *     UNREPORTED --- log_failures: the state closes -----------------------> RELEASED
 *     SETTLED --- its traceback is kept in the handle: release ------------> RELEASED
 *     SETTLED --- no memory for that: report_later tries again
 *
 * Invariants:
 *   1. RELEASED is handle->s == NULL: the record is gone, and the handle has all there is.
 *   2. A record is in `failures` from on_end until it is released, if its task failed.
 *   3. While `busy`, nobody else settles or releases the record: to log and to make a string may run finalizers that join.
 *   4. The record keeps its task, and the task keeps its handle (gl_task_keep): a handle is not collected before RELEASED.
 */
#ifndef GL_SYS_SPAWNED_H
#define GL_SYS_SPAWNED_H

#include "core/task.h"

#define GL_TASK_HANDLE "green.task"

typedef struct gl_spawned gl_spawned;

/* The user values of a handle: what the task returned (of several values its coroutine, with these on top) or its error; the
 * traceback of the error. */
enum { GL_HANDLE_RESULT = 1, GL_HANDLE_TRACE };

typedef struct gl_task_handle {
  gl_spawned *s;           /* NULL = RELEASED */
  uint64_t id;             /* of the task */
  int nresults;
  bool failed, cancelled;
} gl_task_handle;

/* Records of tasks that failed and are not released, in the order they failed. */
typedef struct gl_spawned_failures {
  gl_spawned *first, **end;
} gl_spawned_failures;

struct gl_spawned {
  gl_task *task;           /* one reference is the record's */
  gl_task_handle *handle;
  gl_spawned_failures *failures;
  gl_spawned *next, **at;  /* in `failures`; at = NULL: it is not */
  gl_timer grace;          /* UNREPORTED: until it is logged */
  uint16_t size;           /* of this block */
  bool busy;               /* it is being logged or settled */
  bool system;             /* a failure is logged at once, unless somebody waits for the task */
  bool endless;            /* the task was meant to run until somebody cancels it */
  char spawn_site[];       /* "file:line" of the spawn, or "", or the task's name */
};

/* Which function of core/task.h makes the task: gl_task_spawn, gl_task_spawn_system, gl_task_spawn_daemon, and that again for a task with
 * a name. */
typedef enum gl_spawned_kind { GL_SPAWN_TASK, GL_SPAWN_SYSTEM, GL_SPAWN_DAEMON, GL_SPAWN_NAMED } gl_spawned_kind;

/* Starts a task with the function at index 1 and its arguments up to the top, and leaves its handle in their place; the name of a named task
 * stands before the function, and what is too long of it is cut off. A system task and a daemon have no deadline, cancel or context of the
 * running one. Upvalue 1: the failures. Raises (memory). */
void gl_spawned_start(lua_State *L, gl_spawned_kind kind);

/* Notes that nobody has to be told of this failure any more. Without memory for the traceback the record stays. */
void gl_spawned_settle(gl_spawned *s);

/* Pushes the list of failures, which logs those that are left when the state closes. */
void gl_spawned_push_failures(lua_State *L);

#endif
