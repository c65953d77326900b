/* SPDX-License-Identifier: MIT
 *
 * The module green.hub.native: messages from any task to the WebSockets and loops that listen to a topic. http/hub.h says how that goes
 * within one process. With a broker (lualib/green/hub/shared.lua) no message goes straight to its listeners:
 *
 *     publish, send --> web/outbox.h --take: Lua's half tells the broker--> ... --the broker tells Lua's half: deliver--> gl_hub_publish
 */
#ifndef GL_WEB_HUB_LUA_H
#define GL_WEB_HUB_LUA_H

#include <lua.h>

/* Pushes { alone =, shared = }: the functions of green.hub without a broker, and those that it is made of with one. One hub is behind both. */
int luaopen_green_hub(lua_State *L);

#endif
