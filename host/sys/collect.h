/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_COLLECT_H
#define GL_SYS_COLLECT_H

#include <lua.h>

/* Replaces collectgarbage in the globals. */
void gl_install_collectgarbage(lua_State *L);

#endif
