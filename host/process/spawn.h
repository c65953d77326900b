/* SPDX-License-Identifier: MIT
 *
 * Starting a program without a copy of this process: the child borrows our memory until it is the program, so that
 * starting one costs the same however much memory is in use.
 */
#ifndef GL_PROCESS_SPAWN_H
#define GL_PROCESS_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct gl_spawn {
  const char *file;   /* looked up in the PATH of `env`, if it has no slash */
  char **argv;
  char **env;         /* NULL = ours */
  const char *cwd;    /* NULL = ours */
  int stdio[3];       /* ours that become its 0, 1, 2; -1 = /dev/null */
  bool session;       /* it leads a session, and so a process group, of its own */
  bool inherits;      /* signals that are ignored or blocked here are so there; else none is */
} gl_spawn;

/* Start it. Everything but 0 to 2 that is not close-on-exec is inherited, as ever. 0 and *pid, and in *pidfd a descriptor of
 * the process, or -1 where the kernel has none; else a negative errno, also for why it could not be executed: then there is no
 * child. Blocks until the program is there. */
int gl_spawn_start(const gl_spawn *s, pid_t *pid, int *pidfd);

#endif
