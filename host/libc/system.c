/* SPDX-License-Identifier: MIT
 *
 * system: a shell is started as libc's own does it, and the task waits for its end. SIGINT and SIGQUIT are the command's meanwhile.
 * SIGCHLD stays as it is, since other tasks wait for children of theirs. When the wait is cut short, the shell is killed, as libc does
 * where a thread is cancelled in system.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/interrupt.h"
#include "libc/calls.h"
#include "libc/waitpid.h"

#define SHELL "/bin/sh"
#define KILLED_MS 1000 /* a process that was killed is waited for */

/* Starts the shell. Returns 0 or an errno. */
static int start(const char *command, pid_t *pid) {
  char *argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)command, NULL};
  posix_spawnattr_t attr;
  sigset_t reset;
  sigemptyset(&reset);
  sigaddset(&reset, SIGINT);
  sigaddset(&reset, SIGQUIT);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setsigdefault(&attr, &reset);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
  int error = posix_spawn(pid, SHELL, NULL, &attr, argv, environ);
  posix_spawnattr_destroy(&attr);
  return error;
}

static void end(gl_layer *l, pid_t pid) {
  int error = errno;
  kill(pid, SIGKILL);
  for (int ms = 0; ms < KILLED_MS && waitpid(pid, NULL, WNOHANG) == 0; ms++) gl_wait_pause(l, &gl_system_type, 1);
  errno = error;
}

int gl_libc_system(const char *command) {
  gl_layer *l = command ? gl_layer_now() : NULL;
  if (!l) return system(command);
  pid_t pid;
  int status = -1;
  if (gl_wait_is_barred(l, &gl_system_type)) return -1;
  gl_interrupt_suspend();
  int error = start(command, &pid);
  if (error) status = 127 << 8; /* as if the shell had ended at once */
  else if (gl_waitpid(l, &gl_system_type, pid, &status, 0, NULL) < 0 && errno != ECHILD) end(l, pid);
  gl_interrupt_resume();
  if (error) errno = error;
  return status;
}
