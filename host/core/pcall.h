/* SPDX-License-Identifier: MIT
 *
 * pcall and xpcall with the stock semantics to the letter, plus one thing. Where Lua has hooks off (core/allowhook.h) and the
 * preemption has switched them on to end what takes too long, Lua puts the switch back when a pcall catches the error: a loop around
 * that pcall would never end. What must end and was caught here is out of reach no longer than until the next instruction.
 */
#ifndef GL_CORE_PCALL_H
#define GL_CORE_PCALL_H

#include <lua.h>

/* A protected call in C on L has failed, and L goes on: call where C code that scripts may call in a loop catches an error of theirs. */
void gl_pcall_caught(lua_State *L);

/* Replaces pcall and xpcall among the globals. */
void gl_install_pcall(lua_State *L);

#endif
