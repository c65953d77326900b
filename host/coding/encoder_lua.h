/* SPDX-License-Identifier: MIT
 *
 * Encoders of content codings for Lua.
 */
#ifndef GL_CODING_ENCODER_LUA_H
#define GL_CODING_ENCODER_LUA_H

#include <lua.h>

/* Sets the function `encoder` of the module on top of the stack, and makes its class. */
void gl_encoder_function(lua_State *L);

#endif
