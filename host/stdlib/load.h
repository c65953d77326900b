/* SPDX-License-Identifier: MIT
 *
 * load. A long text is given to Lua's compiler in pieces, and other tasks may run between them. Compiling cannot be left by a yield:
 * the task parks. (20 MB of Lua held everybody up for 2 s.)
 */
#ifndef GL_STDLIB_LOAD_H
#define GL_STDLIB_LOAD_H

#include <lua.h>

int gl_load(lua_State *L);

#endif
