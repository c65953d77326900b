/* SPDX-License-Identifier: MIT
 *
 * Running a script the way lua does, but in a task.
 */
#ifndef GL_SCRIPT_H
#define GL_SCRIPT_H

#include "core/host.h"

typedef struct gl_script {
  int argc;
  char **argv;
  int first;   /* index of the script in argv; argc = there is none */
  int exit;    /* the exit code, once run */
} gl_script;

/* Runs it to its end, and every task it started. */
void gl_script_run(gl_host *h, gl_script *s);

#endif
