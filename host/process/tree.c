/* SPDX-License-Identifier: MIT */
#include "process/tree.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 4096 /* processes; a fork bomb is left alone beyond that */

typedef struct list {
  pid_t *pids; /* [0]: the root */
  int n, cap;
} list;

/* ---- who they are ---- */

static bool add(list *l, pid_t pid) {
  for (int i = 0; i < l->n; i++)
    if (l->pids[i] == pid) return true;
  if (l->n == MOST) return false;
  if (l->n == l->cap) {
    int cap = l->cap ? 2 * l->cap : 16;
    pid_t *more = realloc(l->pids, (size_t)cap * sizeof *more);
    if (!more) return false;
    l->pids = more;
    l->cap = cap;
  }
  l->pids[l->n++] = pid;
  return true;
}

/* The kernel lists children by the thread that has started them. */
static void add_children(list *l, pid_t pid, const char *thread) {
  char path[64];
  int child;
  snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
  FILE *f = fopen(path, "re");
  if (!f) return;
  while (fscanf(f, "%d", &child) == 1 && add(l, child)) continue;
  fclose(f);
}

static void add_all_children(list *l, pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *threads = opendir(path);
  if (!threads) return;
  for (const struct dirent *e; (e = readdir(threads)) != NULL;)
    if (e->d_name[0] != '.') add_children(l, pid, e->d_name);
  closedir(threads);
}

/* A process that is stopped starts no other, and reaps none, so that ids stay true. A start that was on its way is seen in the next
 * round. */
static void stop_all(list *l) {
  for (int before = 0; before != l->n;) {
    before = l->n;
    for (int i = 0; i < l->n; i++) {
      kill(l->pids[i], SIGSTOP);
      add_all_children(l, l->pids[i]);
    }
  }
}

/* ---- signals ---- */

static void remember(const list *l, gl_tree *rest) {
  rest->fds = calloc((size_t)l->n, sizeof *rest->fds);
  for (int i = 1; rest->fds && i < l->n; i++) {
    int fd = (int)syscall(SYS_pidfd_open, l->pids[i], 0);
    if (fd >= 0) rest->fds[rest->n++] = fd;
  }
}

int gl_tree_signal(pid_t root, int signal, gl_tree *rest) {
  list l = {0};
  if (!add(&l, root)) return kill(root, signal) == 0 ? 0 : -errno;
  stop_all(&l);
  if (rest) remember(&l, rest);
  int err = kill(root, signal) == 0 ? 0 : -errno;
  for (int i = 1; i < l.n; i++) kill(l.pids[i], signal);
  for (int i = 0; i < l.n; i++) kill(l.pids[i], SIGCONT);
  free(l.pids);
  return err;
}

bool gl_tree_ended(gl_tree *t) {
  int left = 0;
  for (int i = 0; i < t->n; i++) {
    struct pollfd p = {.fd = t->fds[i], .events = POLLIN};
    if (poll(&p, 1, 0) == 1) close(p.fd);
    else t->fds[left++] = p.fd;
  }
  t->n = left;
  if (left) return false;
  free(t->fds);
  t->fds = NULL;
  return true;
}

void gl_tree_kill(gl_tree *t) {
  for (int i = 0; i < t->n; i++) {
    syscall(SYS_pidfd_send_signal, t->fds[i], SIGKILL, NULL, 0);
    close(t->fds[i]);
  }
  free(t->fds);
  *t = (gl_tree){0};
}
