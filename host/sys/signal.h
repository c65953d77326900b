/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_SIGNAL_H
#define GL_SYS_SIGNAL_H

#include <lua.h>

/* green.signal: wait(name..., [timeout]) -> name; ignore(name). */
int luaopen_green_signal(lua_State *L);

#endif
