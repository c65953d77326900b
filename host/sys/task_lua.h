/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_TASK_LUA_H
#define GL_SYS_TASK_LUA_H

#include <lua.h>

/* The C half of green.task: spawn(fn, ...) -> handle with :join([timeout]), :cancel(), :status(). */
int luaopen_green_task(lua_State *L);

#endif
