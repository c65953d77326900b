/* SPDX-License-Identifier: MIT
 *
 * table.concat, insert, move, remove, unpack. Each takes a table, or a value with the metamethods that it needs.
 */
#ifndef GL_STDLIB_ARRAY_H
#define GL_STDLIB_ARRAY_H

#include <lua.h>

enum { GL_ARRAY_READ = 1, GL_ARRAY_WRITE = 2, GL_ARRAY_LENGTH = 4 };

/* The length of argument i, which must be a table or be `used` as one by its metamethods; raises a bad argument otherwise. */
lua_Integer gl_array_length(lua_State *L, int i, int used);

int gl_table_concat(lua_State *L);
int gl_table_insert(lua_State *L);
int gl_table_move(lua_State *L);
int gl_table_remove(lua_State *L);
int gl_table_unpack(lua_State *L);

#endif
