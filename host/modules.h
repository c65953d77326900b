/* SPDX-License-Identifier: MIT
 *
 * Which modules there are.
 */
#ifndef GL_MODULES_H
#define GL_MODULES_H

#include <stdbool.h>

#include <lua.h>

/* Opens the standard libraries, the host's own versions of some of their functions, and the searcher for green.*. `noenv`:
 * LUA_PATH and LUA_CPATH are ignored. Raises. */
void gl_modules_init(lua_State *L, bool noenv);

#endif
