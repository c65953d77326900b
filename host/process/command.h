/* SPDX-License-Identifier: MIT
 *
 * A command as lualib/green/process.lua puts it: { argv = {...}, env = {"K=V", ...}, cwd =, stdin =, stdout =,
 * stderr =, group = }.
 */
#ifndef GL_PROCESS_COMMAND_H
#define GL_PROCESS_COMMAND_H

#include "process/child.h"

/* Fill *cmd from the table at idx; its pointers are good while the table is, unchanged, and what this leaves on the stack
 * (which is more than before). Raises on what is no command. */
void gl_command_check(lua_State *L, int idx, gl_command *cmd);

/* Raise that starting the command of the table at idx failed: names the program, or the folder that is missing. */
int gl_command_fail(lua_State *L, int idx, const char *op, int status);

#endif
