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

/* Returns what the userdata at `idx`, a pointer of that class, points to. Raises on any other value, and when the pointer is NULL: the
 * userdata was collected, and a later finalizer, or a script that called __gc by hand, still uses it. */
void *gl_class_check(lua_State *L, int idx, const char *name);

/* Returns the userdata at index 1, of this class. Raises otherwise, and says so when the method was called with a dot instead of a
 * colon. */
void *gl_class_self(lua_State *L, const char *name);

/* Gives the userdata on top of L, which is of no class, a finalizer. May raise (memory). */
void gl_class_finalizer(lua_State *L, lua_CFunction gc);

#endif
