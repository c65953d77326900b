/* SPDX-License-Identifier: MIT
 *
 * Domain names in other letters than those of ASCII: IDNA 2008, by libidn2, which is loaded when it is first needed.
 */
#ifndef GL_NET_DOMAIN_H
#define GL_NET_DOMAIN_H

#include <lua.h>

/* The Lua module green.domain.native: to_ascii. */
int luaopen_green_domain(lua_State *L);

#endif
