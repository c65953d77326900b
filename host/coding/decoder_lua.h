/* SPDX-License-Identifier: MIT
 *
 * Decoders of content codings for Lua.
 */
#ifndef GL_CODING_DECODER_LUA_H
#define GL_CODING_DECODER_LUA_H

#include <lua.h>

/* Pushes the Lua module green.coding.native and returns 1. */
int luaopen_green_coding(lua_State *L);

#endif
