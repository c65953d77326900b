/* SPDX-License-Identifier: MIT
 *
 * Does a signal handler run? The functions of this layer are async-signal-safe by POSIX, and handlers call them, in the middle of
 * anything: nothing can park there. sigaction and signal of C modules pass through here, and what they install is called by one
 * handler of ours. (Our own handlers, and libuv's, never reach the layer at all.)
 */
#ifndef GL_LIBC_HANDLER_H
#define GL_LIBC_HANDLER_H

#include <signal.h>
#include <stdbool.h>

/* Is the caller called by a signal handler of a C module? */
bool gl_handler_runs(void);

int gl_libc_sigaction(int signo, const struct sigaction *new, struct sigaction *old);
void (*gl_libc_signal(int signo, void (*handler)(int)))(int);

#endif
