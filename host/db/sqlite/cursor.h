/* SPDX-License-Identifier: MIT
 *
 * Cursors: a cursor reads the rows of a statement in batches, so that a result of any size takes the memory of one batch. Between
 * two batches the statement stays open, and its read transaction with it; other jobs of the connection may run then.
 */
#ifndef GL_DB_SQLITE_CURSOR_H
#define GL_DB_SQLITE_CURSOR_H

#include <lua.h>

#include "db/sqlite/job.h"

/* Replaces the stack by a cursor over the statement at index 2 with its parameters from 3 on (1 is the connection's handle) and
 * returns 1. The cursor copies them and refers to `c`. Raises on what SQLite cannot store, and when memory is out. Does not wait:
 * the first fetch runs the statement. */
int gl_sqlite_cursor_push(lua_State *L, gl_sqlite_conn *c);

/* Creates the metatable of cursors; call once per host, before the first is pushed. Pushes nothing. Raises when memory is out. */
void gl_sqlite_cursor_class(lua_State *L);

#endif
