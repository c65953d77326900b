/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_TIMER_H
#define GL_SYS_TIMER_H

#include <lua.h>

/* green.timer.native: sleep(seconds) waits; now() -> seconds on the monotonic clock. */
int luaopen_green_timer(lua_State *L);

#endif
