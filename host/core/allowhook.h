/* SPDX-License-Identifier: MIT
 *
 * Lua's own switch of hooks. Lua has hooks off on a coroutine while a hook runs on it, a function that debug.sethook has set among
 * them, and what such a function calls; while a message handler (xpcall) runs for an error that a hook raised; and while a
 * finalizer runs. A loop in one of those would be out of reach of the preemption for ever.
 *
 * The switch is a byte of lua_State (`allowhook`), to which Lua gives no access. It has been at the same place in all releases of 5.4;
 * gl_allowhook_init tries whether the library at hand has it there. If not, nothing is ever switched, and such loops are only
 * reported, and ended by the backstop (core/watchdog.h).
 */
#ifndef GL_CORE_ALLOWHOOK_H
#define GL_CORE_ALLOWHOOK_H

#include <stdbool.h>

#include <lua.h>

/* Tries whether the switch is where it is expected; until a trial succeeds, the other two do nothing. Raises nothing. */
void gl_allowhook_init(lua_State *L);

/* Are hooks off on L? Safe in a signal handler. */
bool gl_allowhook_is_off(lua_State *L);

/* Switches hooks on. Lua puts the switch back by itself when the hook or the finalizer ends, or a pcall around it. Safe in a signal
 * handler. */
void gl_allowhook_set(lua_State *L);

#endif
