/* SPDX-License-Identifier: MIT
 *
 * The Lua module green.hub: from any task to the WebSockets and loops that listen to a topic, within one process.
 */
#ifndef GL_WEB_HUB_LUA_H
#define GL_WEB_HUB_LUA_H

#include <lua.h>

/* publish, send, count, subscribe, attach, join, leave, drop. */
int luaopen_green_hub(lua_State *L);

#endif
