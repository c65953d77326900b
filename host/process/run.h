/* SPDX-License-Identifier: MIT
 *
 * A command run to its end as one op: fed, read, and waited for at once. It never outlives the wait: whatever ends
 * that, a timeout, a cancel, too much output, kills the child.
 */
#ifndef GL_PROCESS_RUN_H
#define GL_PROCESS_RUN_H

#include <lua.h>

/* run(command) -> code, signal, stdout, stderr. Besides what process/command.h says the table may have input = what the child
 * reads (stdin is then a pipe), timeout = seconds, max_output = bytes of both together, op = the name for errors. Raises
 * ETIMEDOUT, EMSGSIZE and what starting it gives. */
int gl_process_run(lua_State *L);

#endif
