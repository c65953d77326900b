/* SPDX-License-Identifier: MIT
 *
 * Channels between tasks: the Lua module green.channel.native.
 */
#ifndef GL_SYS_CHANNEL_H
#define GL_SYS_CHANNEL_H

#include <lua.h>

/* new([capacity]) -> channel with :send, :receive, :try_send, :try_receive, :close and iteration. */
int luaopen_green_channel(lua_State *L);

#endif
