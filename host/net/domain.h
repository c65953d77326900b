/* SPDX-License-Identifier: MIT
 *
 * What domain names mean: names in other letters than those of ASCII (IDNA 2008, by libidn2), and names that strangers register
 * names below (the list of public suffixes, by libpsl). Each library is loaded when it is first needed.
 */
#ifndef GL_NET_DOMAIN_H
#define GL_NET_DOMAIN_H

#include <lua.h>

/* The Lua module green.domain.native: to_ascii, is_public_suffix. */
int luaopen_green_domain(lua_State *L);

#endif
