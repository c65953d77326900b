/* SPDX-License-Identifier: MIT
 *
 * Cursors: the rows of a statement in batches, while the statement stays open.
 */
#ifndef GL_DB_SQLITE_CURSOR_H
#define GL_DB_SQLITE_CURSOR_H

#include <lua.h>

#include "db/sqlite/job.h"

/* Push a cursor over the statement at stack index 2 with its parameters from 3 on. Waits for nothing. */
int gl_sqlite_cursor_push(lua_State *L, gl_sqlite_conn *c);

/* The metatable. Once per host; pushes nothing. */
void gl_sqlite_cursor_class(lua_State *L);

#endif
