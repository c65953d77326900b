/* SPDX-License-Identifier: MIT */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK ((size_t)64 * 1024)
#define SHELL "/bin/sh"
#define DEFAULT_PATH "/bin:/usr/bin" /* as execvp has it */

/* Between the clone and the exec the child shares our memory, on a stack of its own, while the thread that started it stands still:
 * these functions must not allocate, lock, or leave a trace. */
#define IN_CHILD __attribute__((no_sanitize("address"), no_sanitize("thread")))

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer has a clone of its own, which takes this one for a fork, and remembers what handlers are set: in our memory. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
int __sigaction(int number, const struct sigaction *now, struct sigaction *before);
#define clone __clone
#define sigaction(number, now, before) __sigaction(number, now, before)
#endif

typedef struct start {
  const gl_spawn *s;
  const char *path;  /* the PATH to search; NULL: the file has a slash */
  char **script;     /* argv for the shell, should the file be a script that names no interpreter; [1] is to be filled in */
  sigset_t mask;     /* signals that are blocked in the program */
  int error;         /* errno of what failed */
} start;

/* ---- in the child ---- */

/* A handler of this process must not run in the child. exec would reset it, but signals are unblocked before. */
IN_CHILD static void reset_signals(const start *st) {
  struct sigaction now, reset = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) {
    if (number == SIGKILL || number == SIGSTOP || sigaction(number, NULL, &now) != 0) continue;
    if (now.sa_handler == SIG_DFL || (now.sa_handler == SIG_IGN && st->s->inherits)) continue;
    sigaction(number, &reset, NULL);
  }
}

/* A descriptor that is to become 0, 1 or 2 and is another of the three now moves out of the way first. */
IN_CHILD static bool set_stdio(const gl_spawn *s) {
  int from[3];
  for (int fd = 0; fd < 3; fd++) {
    from[fd] = s->stdio[fd];
    if (from[fd] < 0) from[fd] = open("/dev/null", (fd == 0 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (from[fd] >= 0 && from[fd] < 3 && from[fd] != fd) from[fd] = fcntl(from[fd], F_DUPFD_CLOEXEC, 3);
    if (from[fd] < 0) return false;
  }
  for (int fd = 0; fd < 3; fd++) {
    int done = from[fd] == fd ? fcntl(fd, F_SETFD, 0) : dup2(from[fd], fd);
    if (done < 0) return false;
  }
  return true;
}

IN_CHILD static int execute(const start *st, const char *file) {
  char **env = st->s->env ? st->s->env : environ;
  execve(file, st->s->argv, env);
  if (errno != ENOEXEC) return errno;
  st->script[1] = (char *)(uintptr_t)file;
  execve(SHELL, st->script, env);
  return errno;
}

/* Says whether the search goes on to the next folder of the path. */
IN_CHILD static bool is_elsewhere(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ESTALE || error == ENODEV || error == ETIMEDOUT;
}

/* Searches as execvp does, which takes the PATH of this process, not of the program. */
IN_CHILD static int search(const start *st) {
  char full[PATH_MAX];
  const char *name = st->s->file;
  size_t len = strlen(name);
  bool denied = false;
  int error = ENOENT;
  for (const char *at = st->path;; at++) {
    size_t n = strcspn(at, ":");
    if (n + len + 2 <= sizeof full) {
      memcpy(full, at, n);
      if (n) full[n] = '/';
      memcpy(full + n + (n > 0), name, len + 1);
      error = execute(st, full);
      if (!is_elsewhere(error)) return error;
      denied = denied || error == EACCES;
    }
    at += n;
    if (!*at) return denied ? EACCES : error;
  }
}

IN_CHILD static int child_main(void *arg) {
  start *st = arg;
  const gl_spawn *s = st->s;
  reset_signals(st);
  if ((s->session && setsid() < 0) || !set_stdio(s) || (s->cwd && chdir(s->cwd) != 0)) {
    st->error = errno;
  } else {
    sigprocmask(SIG_SETMASK, &st->mask, NULL);
    st->error = st->path ? search(st) : execute(st, s->file);
  }
  _exit(127);
}

/* ---- before and after ---- */

static const char *path_of(const gl_spawn *s) {
  if (strchr(s->file, '/')) return NULL;
  if (!s->env) {
    const char *ours = getenv("PATH");
    return ours ? ours : DEFAULT_PATH;
  }
  for (char **at = s->env; *at; at++)
    if (strncmp(*at, "PATH=", 5) == 0) return *at + 5;
  return DEFAULT_PATH;
}

static bool for_shell(start *st) {
  size_t n = 0;
  while (st->s->argv[n]) n++;
  st->script = calloc(n + 2, sizeof *st->script);
  if (!st->script) return false;
  st->script[0] = (char *)(uintptr_t)SHELL;
  for (size_t i = 1; i < n; i++) st->script[i + 1] = st->s->argv[i];
  return true;
}

/* Blocks all signals meanwhile: no handler of this process may run in the child. */
static int clone_it(start *st, pid_t *pid, int *pidfd) {
  sigset_t all, before;
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (st->s->inherits) st->mask = before;
  *pidfd = -1;
  *pid = clone(child_main, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, st, pidfd);
  int error = *pid < 0 ? errno : st->error;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  munmap(stack, STACK);
  return -error;
}

int gl_spawn_start(const gl_spawn *s, pid_t *pid, int *pidfd) {
  start st = {.s = s, .path = path_of(s)};
  struct sigaction now;
  sigemptyset(&st.mask);
  if (!*s->file) return -ENOENT;
  if (!for_shell(&st)) return -ENOMEM;
  if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL); /* or we never learn how it ended */
  int err = clone_it(&st, pid, pidfd);
  free(st.script);
  if (err && *pid >= 0) {
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) continue;
    if (*pidfd >= 0) close(*pidfd);
  }
  return err;
}
