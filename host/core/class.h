/* SPDX-License-Identifier: MIT
 *
 * Classes of userdata that can be closed.
 */
#ifndef GL_CORE_CLASS_H
#define GL_CORE_CLASS_H

#include <lauxlib.h>

/* A metatable with methods, for the collector and for <close>. */
void gl_class_new(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction close);

/* Give the one userdata on top of L, of no class, a finalizer. May raise (memory). */
void gl_class_finalizer(lua_State *L, lua_CFunction gc);

#endif
