/* SPDX-License-Identifier: MIT
 *
 * The types of PostgreSQL that are known here, by the numbers that its catalogue has given them for good, and their values as Lua's.
 */
#ifndef GL_DB_POSTGRES_TYPES_H
#define GL_DB_POSTGRES_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>
#include <libpq-fe.h>

#define GL_PG_BYTEA 17

/* What a value of a type becomes in Lua. */
typedef enum gl_pg_kind { GL_PG_TEXT, GL_PG_INTEGER, GL_PG_FLOAT, GL_PG_BOOLEAN, GL_PG_BYTES, GL_PG_JSON } gl_pg_kind;

typedef struct gl_pg_type {
  uint8_t kind;  /* of its values, or of its elements */
  bool is_array;
} gl_pg_type;

/* What is to be made of a type; of one that is unknown, text. */
gl_pg_type gl_pg_type_of(Oid type);

/* Is it a known type of arrays? */
bool gl_pg_is_array(Oid type);

/* Pushes a value, which is n bytes of text with a NUL behind them. May park (JSON); the caller keeps the text alive. Raises when memory
 * is out, and for JSON that is nested too deeply. */
void gl_pg_push_value(lua_State *L, gl_pg_type type, const char *text, size_t n);

#endif
