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
  const char *file;   /* the program; looked up in the PATH of `env` if it has no slash */
  char **argv;
  char **env;         /* NULL = ours */
  const char *cwd;    /* NULL = ours */
  int stdio[3];       /* descriptors of this process that become 0, 1 and 2 there; -1 = /dev/null */
  bool session;       /* the child leads a session, and so a process group, of its own */
  bool inherits;      /* signals that are ignored or blocked here are so in the child; else none is */
} gl_spawn;

/* Starts the program, and blocks until the child executes it. Descriptors that are not close-on-exec are inherited. Returns 0 and sets
 * *pid, and *pidfd to a descriptor of the process (-1 where the kernel has none); or returns a negative errno, also that of the
 * exec: then there is no child. */
int gl_spawn_start(const gl_spawn *s, pid_t *pid, int *pidfd);

#endif
