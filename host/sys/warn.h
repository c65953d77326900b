/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_WARN_H
#define GL_SYS_WARN_H

#include <lua.h>

/* Gives the state the warning function that luaL_newstate gives: off until warn("@on") or -W. */
void gl_install_warn(lua_State *L);

#endif
