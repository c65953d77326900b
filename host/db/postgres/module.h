/* SPDX-License-Identifier: MIT
 *
 * The C half of lualib/green/db/driver/postgres.lua.
 */
#ifndef GL_DB_POSTGRES_MODULE_H
#define GL_DB_POSTGRES_MODULE_H

#include <lua.h>

/* Pushes the module and returns 1. Raises ENOLIBRARY when the system has no libpq. */
int luaopen_green_db_postgres(lua_State *L);

#endif
