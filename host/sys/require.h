/* SPDX-License-Identifier: MIT
 *
 * `require`, with the stock library's semantics to the letter, by which a module is loaded once however many tasks want it: the one that
 * comes first loads it, and the others wait for that.
 */
#ifndef GL_SYS_REQUIRE_H
#define GL_SYS_REQUIRE_H

#include <lua.h>

/* Puts it in the place of the stock function. Raises. */
void gl_install_require(lua_State *L);

#endif
