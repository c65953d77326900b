/* SPDX-License-Identifier: MIT
 *
 * Conversion between Lua values and SQLite's: parameters from Lua, rows to Lua.
 */
#ifndef GL_DB_SQLITE_ROWS_H
#define GL_DB_SQLITE_ROWS_H

#include <lua.h>

#include "db/sqlite/engine.h"

/* Checks the statement at stack index `sql` and its parameters from `first` to the top, and returns how many bytes
 * gl_sqlite_call_new needs for them. Raises, naming the argument, on what SQLite cannot store. */
size_t gl_sqlite_call_check(lua_State *L, int sql, int first);

/* Copies the same statement and parameters, checked before, into one block of `size` bytes, since a job runs on another thread and
 * may outlive the Lua state. The caller owns it (gl_sqlite_call_free). NULL: out of memory. Never raises. */
gl_sqlite_call *gl_sqlite_call_new(lua_State *L, int sql, int first, size_t size);

/* Pushes an array of one table per row, by column name; a NULL is an absent key. Raises when memory is out. */
void gl_sqlite_push_rows(lua_State *L, const gl_sqlite_rows *rows);

#endif
