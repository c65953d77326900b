/* SPDX-License-Identifier: MIT
 *
 * A process and all that it and its children have started: for signals to a shell's command, which the shell dies without
 * passing on. They cannot have a process group of their own, since then the terminal's Ctrl-C would not reach them.
 */
#ifndef GL_PROCESS_TREE_H
#define GL_PROCESS_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Some processes, whatever becomes of their ids. Zeroed = none. */
typedef struct gl_tree {
  int *fds;
  int n;
} gl_tree;

/* Send a signal to a child of ours that was not waited for, and to all beneath it. `rest`, an empty one, gets those beneath,
 * as far as the kernel can tell; may be NULL. 0 or a negative errno, of the signal to the child. */
int gl_tree_signal(pid_t root, int signal, gl_tree *rest);

/* Forget those that have ended. True: none is left. */
bool gl_tree_ended(gl_tree *t);

/* Kill those that are left, and forget them. */
void gl_tree_kill(gl_tree *t);

#endif
