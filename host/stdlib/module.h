/* SPDX-License-Identifier: MIT
 *
 * Functions of Lua's standard library whose loops hold up nobody: the same names in the same tables, with the results, limits and
 * error texts of the stock ones.
 */
#ifndef GL_STDLIB_MODULE_H
#define GL_STDLIB_MODULE_H

#include <lua.h>

/* Puts them in the place of the stock ones. */
void gl_install_stdlib(lua_State *L);

#endif
