/* SPDX-License-Identifier: MIT
 *
 * Running what the command line asks for, in the order and with the messages of lua, but in a task:
 *
 *     LUA_INIT -> -e and -l -> the script (or stdin) -> serve what it returned -> the REPL
 */
#ifndef GL_SCRIPT_H
#define GL_SCRIPT_H

#include "cli.h"
#include "core/host.h"

/* Runs all of these, and every task that they start, to their end; returns the exit code. A failure cancels the tasks that are left,
 * and so does the end of serving. */
int gl_script_run(gl_host *h, const gl_cli *options);

#endif
