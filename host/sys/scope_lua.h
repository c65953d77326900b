/* SPDX-License-Identifier: MIT
 *
 * Deadlines and shields for scripts: the Lua module green.scope.native.
 */
#ifndef GL_SYS_SCOPE_LUA_H
#define GL_SYS_SCOPE_LUA_H

#include <lua.h>

/* enter([seconds [, shield]]) -> a scope of the running task, for a <close> variable; :cancel(). */
int luaopen_green_scope(lua_State *L);

#endif
