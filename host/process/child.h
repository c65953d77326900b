/* SPDX-License-Identifier: MIT
 *
 * A child process: started, waited for, killed, and always reaped. It counts as a handle until it is reaped.
 *
 *     (none) --- gl_child_start: spawn, watch ----------------------------> RUNNING
 *     RUNNING --- gl_child_end, on_task_end (its task has ended): TERM ---> ENDING (grace is armed)
 *     ENDING ---- on_grace: KILL -----------------------------------------> RUNNING, for a moment more
 *     RUNNING, ENDING --- on_readable, on_sigchld: reap; exited ----------> EXITED
 *     EXITED ---- linger: processes that a shell has started are left ----> LINGERING (grace is armed for the rest of the time)
 *     LINGERING - on_grace, linger: they have ended, or are killed -------> EXITED
 *
 * Invariants:
 *   1. `waiting` is empty once EXITED; its ops are done in the order they came, then on_exit is called, once.
 *   2. The descriptor and the handle of libuv live until EXITED; `refs` counts the handle, the caller, each op that waits, and
 *      LINGERING.
 *   3. h->holds is one more while `grace` is armed: the loop stays for it.
 *   4. A process that was forked since (`starter` is another one) neither signals the child nor waits for it.
 */
#ifndef GL_PROCESS_CHILD_H
#define GL_PROCESS_CHILD_H

#include "core/op.h"
#include "core/owned.h"
#include "process/pipe.h"
#include "process/tree.h"

typedef struct gl_child gl_child;

struct gl_child {
  union {
    uv_handle_t handle;
    uv_poll_t poll;              /* of its descriptor, readable once it has ended */
    uv_signal_t signal;          /* SIGCHLD, where the kernel has no such descriptors */
  } uv;
  gl_host *host;
  pid_t pid;
  pid_t starter;                 /* whose child it is: one that was forked since neither signals it nor waits for it */
  int fd;                        /* pidfd; -1 where the kernel has none */
  gl_opqueue waiting;            /* ops (gl_child_op) that wait for its end */
  void (*on_exit)(gl_child *c);  /* on the loop, after the waiters; may be NULL */
  void *owner;                   /* for on_exit */
  gl_timer grace;                /* ENDING: until it is killed; LINGERING: until the next look */
  uint64_t killed_at;            /* when `grace` is over, ns */
  gl_tree rest;                  /* what was beneath it when its end began */
  gl_owned owned;                /* ended with a task */
  int64_t code;                  /* EXITED: the exit code; 0 when a signal ended it; -1 when nobody knows */
  int ended_by;                  /* the signal that ended it, or 0 */
  uint32_t refs;
  bool group;                    /* it leads a process group of its own: signals are for all of that */
  bool shell;                    /* it is one: signals are for all that it has started, too */
  bool exited;
};

typedef enum gl_child_stdio { GL_CHILD_NULL, GL_CHILD_INHERIT, GL_CHILD_PIPE, GL_CHILD_STDOUT, GL_CHILD_FD } gl_child_stdio;

/* What to run: `file`, or argv[0] when there is none, looked up in PATH. */
typedef struct gl_command {
  char **argv;
  const char *file;
  char **env;        /* NULL = ours */
  const char *cwd;   /* NULL = ours */
  gl_child_stdio stdio[3]; /* GL_CHILD_STDOUT is for stderr: where stdout goes */
  int fd;                  /* of GL_CHILD_FD; stays the caller's */
  bool group;
  bool shell;              /* a line for a shell, as stock Lua starts it: with the signals ignored that are ignored here */
} gl_command;

/* Start it. pipes[i] is our end where stdio[i] is a pipe, else NULL; the child and the pipes come with one reference each
 * for the caller. 0 or UV_E*: nothing is left then. Blocks for the exec, less than a millisecond. */
int gl_child_start(gl_host *h, const gl_command *cmd, gl_child **c, gl_pipe *pipes[3]);

/* Sends a signal. Returns 0 or UV_E*; UV_ESRCH once the child has ended. */
int gl_child_kill(gl_child *c, int signal);

/* Makes the child end: TERM now, KILL after `grace` seconds. No-op when it has ended. */
void gl_child_end(gl_child *c, double grace);

/* Makes the child end with the task, as gl_child_end does, unless it has by then. A shell ends so only if the task fails or is cancelled. */
void gl_child_own(gl_child *c, gl_task *t);

void gl_child_unref(gl_child *c);

/* ---- waiting from Lua ---- */

typedef struct gl_child_op {
  gl_op op;
  gl_child *child; /* one reference is the op's */
} gl_child_op;

/* Waits for the end of w->child, which the caller has set in a new op. Cancel, free and object of its type are (or call) those below. */
int gl_child_await(lua_State *L, gl_child_op *w, double timeout);
void gl_child_unwait(gl_op *op);
void gl_child_free_op(gl_op *op);
void gl_child_object(const gl_op *op, char *out, size_t size);

/* ---- signals by name ---- */

/* "KILL" for 9. Pushes one string. */
void gl_signal_push(lua_State *L, int signal);

/* The number of argument `idx`: a name ("TERM", "SIGTERM") or a number; `def` when absent. Raises on others. */
int gl_signal_check(lua_State *L, int idx, int def);

#endif
