/* SPDX-License-Identifier: MIT
 *
 * os.execute and io.popen, with the stock meaning, as functions that wait. To cancel os.execute kills the shell and its command.
 */
#ifndef GL_PROCESS_EXECUTE_H
#define GL_PROCESS_EXECUTE_H

#include <lua.h>

#include "process/child.h"

/* Replaces os.execute. */
void gl_install_execute(lua_State *L);

/* Replaces io.popen (popen.c). After gl_install_io, whose files its pipes are. */
void gl_install_popen(lua_State *L);

/* Fills *cmd and `argv`, which *cmd then points to, with the command that has a shell run `line`. */
void gl_shell_command(gl_command *cmd, char *argv[4], const char *line);

/* Pushes how a child ended, as luaL_execresult does. Returns 3. */
int gl_push_execresult(lua_State *L, const gl_child *c);

#endif
