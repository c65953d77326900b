/* SPDX-License-Identifier: MIT
 *
 * A command as lualib/green/process.lua puts it: { argv = {...}, env = {"K=V", ...}, cwd =, stdin =, stdout =,
 * stderr =, group = }.
 */
#ifndef GL_PROCESS_COMMAND_H
#define GL_PROCESS_COMMAND_H

#include "process/child.h"

/* Fills *cmd from the table at idx. The pointers are good while the table is unchanged and the values stay on the stack that this
 * leaves there. Raises on a table that is no command. */
void gl_command_check(lua_State *L, int idx, gl_command *cmd);

/* Raises that the command of the table at idx could not be started: names the program, or the folder that is missing. */
int gl_command_fail(lua_State *L, int idx, const char *op, int status);

#endif
