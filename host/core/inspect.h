/* SPDX-License-Identifier: MIT */
#ifndef GL_CORE_INSPECT_H
#define GL_CORE_INSPECT_H

#include <lua.h>

/* green.debug: census() -> { tasks=, ops=, handles=, parked=, pins= }, what is alive now. */
int gl_open_debug(lua_State *L);

#endif
