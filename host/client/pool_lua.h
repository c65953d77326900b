/* SPDX-License-Identifier: MIT
 *
 * The pool of a Lua state.
 */
#ifndef GL_CLIENT_POOL_LUA_H
#define GL_CLIENT_POOL_LUA_H

#include <lua.h>

#include "transport/pool.h"

/* Returns the pool of this state, which the first call makes; the state owns it. Raises without memory, and once the state closes. */
gl_pool *gl_pool_of(lua_State *L);

#endif
