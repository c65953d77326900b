/* SPDX-License-Identifier: MIT */
#ifndef GL_MODULES_H
#define GL_MODULES_H

#include <lua.h>

/* Opens the standard libraries, the host's own versions of them, and the searcher for green.*. Raises. */
void gl_modules_open(lua_State *L);

#endif
