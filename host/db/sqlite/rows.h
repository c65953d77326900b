/* SPDX-License-Identifier: MIT
 *
 * Between Lua values and SQLite's: parameters in, rows out.
 */
#ifndef GL_DB_SQLITE_ROWS_H
#define GL_DB_SQLITE_ROWS_H

#include <lua.h>

#include "db/sqlite/engine.h"

/* The metatable of blobs: strings bound as BLOB, not as TEXT. Once per host; pushes nothing. */
void gl_sqlite_blob_class(lua_State *L);

/* sqlite.blob(string) */
int gl_sqlite_blob(lua_State *L);

/* Check the statement at `sql` and its parameters at `first`, `first` + 1, ... to the top, and say how much
 * memory gl_sqlite_call_new needs. Raises, naming the argument, on what SQLite cannot store. */
size_t gl_sqlite_call_check(lua_State *L, int sql, int first);

/* Copy them, checked before, into one block: a job runs on another thread, and may outlive the state.
 * NULL: out of memory. Never raises. */
gl_sqlite_call *gl_sqlite_call_new(lua_State *L, int sql, int first, size_t size);

/* Push an array of row tables. NULL is an absent key. May raise (memory). */
void gl_sqlite_push_rows(lua_State *L, const gl_sqlite_rows *rows);

/* Push an array of the column names. May raise (memory). */
void gl_sqlite_push_columns(lua_State *L, const gl_sqlite_rows *rows);

#endif
