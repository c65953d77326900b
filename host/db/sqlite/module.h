/* SPDX-License-Identifier: MIT
 *
 * SQLite: the Lua module green.db.sqlite, low-level connections that green.db makes pools of.
 */
#ifndef GL_DB_SQLITE_MODULE_H
#define GL_DB_SQLITE_MODULE_H

#include <lua.h>

int luaopen_green_db_sqlite(lua_State *L);

#endif
