/* SPDX-License-Identifier: MIT
 *
 * Semaphores between tasks: the Lua module green.semaphore.
 */
#ifndef GL_SYS_SEMAPHORE_H
#define GL_SYS_SEMAPHORE_H

#include <lua.h>

int luaopen_green_semaphore(lua_State *L);

#endif
