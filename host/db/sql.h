/* SPDX-License-Identifier: MIT
 *
 * What databases of SQL have in common, whichever they are: a statement's text, an error about it, and how a result looks to a script.
 */
#ifndef GL_DB_SQL_H
#define GL_DB_SQL_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

/* Returns the statement at a stack index. Raises when it has `most` bytes or more, or a NUL in it. */
const char *gl_sql_check(lua_State *L, int idx, size_t most, size_t *len);

/* A hash of a statement's text, for a cache of statements. */
uint32_t gl_sql_hash(const char *sql, size_t len);

/* Writes the beginning of a statement, for the inspector (gl_optype.object). */
void gl_sql_object(const char *sql, char *out, size_t size);

/* Pushes an error object: op, code, the reason, and unless `sql` is NULL the statement, of which the message has the beginning on one line.
 * Raises when memory is out. */
void gl_sql_push_error(lua_State *L, const char *op, const char *code, const char *reason, const char *sql);

/* `names` are n strings, one behind the other, each with its NUL. */

/* Pushes each name. They are the keys of every row: a name becomes a Lua string once, not once per row. Raises for too many. */
void gl_sql_push_names(lua_State *L, const char *names, int n);

/* Makes the array of rows on the top of the stack a result: an array of JSON, also an empty one, with `columns`, `affected` and `last_id`
 * (NULL: none) in its metatable. Raises when memory is out. */
void gl_sql_set_result(lua_State *L, const char *names, int n, int64_t affected, const int64_t *last_id);

#endif
