/* SPDX-License-Identifier: MIT */
#ifndef GL_MODULES_H
#define GL_MODULES_H

#include <stdbool.h>

#include <lua.h>

/* Opens the standard libraries, the host's own versions of them, and the searcher for green.*. `noenv`:
 * LUA_PATH and LUA_CPATH do not count. Raises. */
void gl_modules_init(lua_State *L, bool noenv);

#endif
