/* SPDX-License-Identifier: MIT */
#ifndef GL_DB_REDIS_MODULE_H
#define GL_DB_REDIS_MODULE_H

#include <lua.h>

/* green.redis.native: connections of green.redis. */
int luaopen_green_redis(lua_State *L);

#endif
