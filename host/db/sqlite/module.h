/* SPDX-License-Identifier: MIT
 *
 * The Lua module green.db.sqlite: single SQLite connections, of which green.db makes pools.
 */
#ifndef GL_DB_SQLITE_MODULE_H
#define GL_DB_SQLITE_MODULE_H

#include <lua.h>

/* Pushes the module and returns 1. Raises ENOLIBRARY when the system has no libsqlite3. */
int luaopen_green_db_sqlite(lua_State *L);

#endif
