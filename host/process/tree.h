/* SPDX-License-Identifier: MIT
 *
 * A process and all that it and its children have started. A shell that is killed does not pass the signal on to its command, and
 * the command cannot have a process group of its own, since the terminal's Ctrl-C would then not reach it: so the signal is sent
 * to each of them.
 */
#ifndef GL_PROCESS_TREE_H
#define GL_PROCESS_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Processes, by descriptors that stay true when an id is used again. Zeroed memory is an empty tree. */
typedef struct gl_tree {
  int *fds;
  int n;
} gl_tree;

/* Sends a signal to a child that was not reaped, and to all beneath it. `rest`, an empty tree or NULL, gets those beneath, as far as
 * the kernel can tell. Returns 0 or a negative errno, that of the signal to the child. */
int gl_tree_signal(pid_t root, int signal, gl_tree *rest);

/* Forgets the processes that have ended. Returns true when none is left. */
bool gl_tree_ended(gl_tree *t);

/* Kills the processes that are left, and forgets them. */
void gl_tree_kill(gl_tree *t);

#endif
