/* SPDX-License-Identifier: MIT
 *
 * How many instructions Lua has still to count on a coroutine before its count hook is due. Whoever sets another hook there, and puts the
 * first one back, makes Lua begin to count anew; a hook that counts more than there are instructions in a slice would never come.
 *
 * The number is a member of lua_State (`hookcount`), to which Lua gives no access. gl_hookcount_init tries whether the library at hand has
 * it where it is expected. If not, a hook that is put back counts anew.
 */
#ifndef GL_CORE_HOOKCOUNT_H
#define GL_CORE_HOOKCOUNT_H

#include <lua.h>

/* Tries whether the number is where it is expected. Raises nothing. */
void gl_hookcount_init(lua_State *L);

/* Returns how many instructions are left; where that is unknown, as many as the hook counts in all. Safe in a signal handler. */
int gl_hookcount_left(lua_State *L);

/* Sets how many are left, at least 1, after lua_sethook. Safe in a signal handler. */
void gl_hookcount_set(lua_State *L, int left);

#endif
