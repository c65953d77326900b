/* SPDX-License-Identifier: MIT
 *
 * Blobs: a userdata around a string, by which a parameter says that it is bytes rather than text.
 */
#ifndef GL_DB_BLOB_H
#define GL_DB_BLOB_H

#include <stddef.h>

#include <lua.h>

/* blob(string): a Lua function that pushes a blob. */
int gl_blob_new(lua_State *L);

/* Creates the metatable of blobs, once per host however often it is called. Pushes nothing. Raises when memory is out. */
void gl_blob_class(lua_State *L);

/* Returns the string of the blob at `idx`, which keeps the string alive; NULL: the value is no blob. Raises nothing. */
const char *gl_blob_string(lua_State *L, int idx, size_t *len);

/* Pushes the module green.db.native, { blob = gl_blob_new }, and returns 1. */
int luaopen_green_db(lua_State *L);

#endif
