/* SPDX-License-Identifier: MIT
 *
 * Classes of userdata: a metatable by name, its methods, and what a method does with what it was called on.
 */
#ifndef GL_CORE_CLASS_H
#define GL_CORE_CLASS_H

#include <lauxlib.h>

/* Makes the class `name`: the metatable that luaL_setmetatable finds. `methods` and `meta` may be NULL: none. Every function of
 * `meta` (__gc, __close, ...) has the table of methods as its first upvalue; an __index among them is called for each field, and
 * without one that table is the __index. Pushes nothing. May raise (memory). */
void gl_class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/* What the userdata at `idx`, a pointer of that class, points to. Raises on anything else, and when it was collected: a finalizer
 * that came later than its own still finds it, as does who calls its __gc by hand. */
void *gl_class_check(lua_State *L, int idx, const char *name);

/* The userdata at index 1, of this class. Called with a dot instead of a colon, the method raises and says so. */
void *gl_class_self(lua_State *L, const char *name);

/* Give the one userdata on top of L, of no class, a finalizer. May raise (memory). */
void gl_class_finalizer(lua_State *L, lua_CFunction gc);

#endif
