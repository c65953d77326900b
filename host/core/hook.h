/* SPDX-License-Identifier: MIT
 *
 * debug.sethook and debug.gethook, with the stock library's semantics to the letter, for a host that needs the one hook
 * a coroutine has for itself now and then. A hook that counts instructions must not be taken away and put back, or it
 * would begin to count anew: it is asked to make way itself, and for that its count is split into small steps.
 */
#ifndef GL_CORE_HOOK_H
#define GL_CORE_HOOK_H

#include <stdbool.h>

#include <lua.h>

/* What every user's hook runs through. */
void gl_hook_event(lua_State *L, lua_Debug *ar);

/* Does the user have a hook on L? Never raises. */
bool gl_hook_is_set(lua_State *L);

/* Put the user's hook back on L after preempt.c had its own there; none, if the user has none. Never raises. */
void gl_hook_restore(lua_State *L);

/* Replaces the two functions of the library. */
void gl_hook_init(lua_State *L);

#endif
