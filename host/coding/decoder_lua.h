/* SPDX-License-Identifier: MIT
 *
 * Decoders for Lua: green.coding.native.
 */
#ifndef GL_CODING_DECODER_LUA_H
#define GL_CODING_DECODER_LUA_H

#include <lua.h>

int luaopen_green_coding(lua_State *L);

#endif
