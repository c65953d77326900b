/* SPDX-License-Identifier: MIT
 *
 * The Lua module green.hub: messages from any task to the WebSockets and loops that listen to a topic, within one process.
 * http/hub.h says how.
 */
#ifndef GL_WEB_HUB_LUA_H
#define GL_WEB_HUB_LUA_H

#include <lua.h>

/* Pushes { attach, count, drop, join, leave, publish, send, subscribe }, with a hub of its own. */
int luaopen_green_hub(lua_State *L);

#endif
