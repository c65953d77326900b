/* SPDX-License-Identifier: MIT
 *
 * string.gsub. The function or __index metamethod that makes a replacement may wait.
 */
#ifndef GL_STDLIB_GSUB_H
#define GL_STDLIB_GSUB_H

#include <lua.h>

int gl_string_gsub(lua_State *L);

#endif
