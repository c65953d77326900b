/* SPDX-License-Identifier: MIT
 *
 * Waiting for children of this process.
 */
#ifndef GL_LIBC_WAITPID_H
#define GL_LIBC_WAITPID_H

#include <sys/resource.h>
#include <sys/types.h>

#include "libc/wait.h"

/* Waits as wait4 does, in a call of this kind; the task parks. Returns the child, or -1: errno is set. */
pid_t gl_waitpid(gl_layer *l, const gl_optype *type, pid_t pid, int *status, int options, struct rusage *usage);

#endif
