/* SPDX-License-Identifier: MIT
 *
 * Arguments that nobody may pass.
 */
#ifndef GL_CORE_MISUSE_H
#define GL_CORE_MISUSE_H

#include <lua.h>

/* Raises a plain message (formats of lua_pushfstring). It points at the line that called into the library, whichever of the
 * library's modules handed the arguments on. Never returns. */
int gl_error_misuse(lua_State *L, const char *fmt, ...);

#endif
