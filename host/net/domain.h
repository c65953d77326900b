/* SPDX-License-Identifier: MIT
 *
 * Rules about domain names: the ASCII form of names with other letters (IDNA 2008, by libidn2), and the public suffixes, such as co.uk,
 * below which unrelated people register names (by libpsl). Each library is loaded when it is first needed.
 */
#ifndef GL_NET_DOMAIN_H
#define GL_NET_DOMAIN_H

#include <lua.h>

/* Pushes the Lua module green.domain.native (to_ascii, is_public_suffix) and returns 1. */
int luaopen_green_domain(lua_State *L);

#endif
