/* SPDX-License-Identifier: MIT
 *
 * Child processes: the Lua module green.process.native, for lualib/green/process.lua. A command is what process/command.h
 * says.
 *
 *     spawn(command) -> child, stdin, stdout, stderr    the pipes that were asked for, else nil
 *     child:pid() :wait([timeout]) -> code, signal      waits
 *     child:kill([signal]) -> boolean                   false: it has ended
 *     child:close([grace])                              TERM, then KILL; waits unless the task may not
 *     pipe:read([want [, timeout]]) :write(s [, timeout]) :close()     the first two wait
 *     run(command) -> code, signal, stdout, stderr      process/run.h; waits
 *     environ() -> table
 */
#ifndef GL_PROCESS_MODULE_H
#define GL_PROCESS_MODULE_H

#include <lua.h>

int luaopen_green_process(lua_State *L);

#endif
