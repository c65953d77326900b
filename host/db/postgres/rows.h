/* SPDX-License-Identifier: MIT
 *
 * Rows of a result, copied from libpq's results one by one as they arrive, so that their bytes are counted and a result that is too
 * large is noticed before it is there; and as Lua tables.
 */
#ifndef GL_DB_POSTGRES_ROWS_H
#define GL_DB_POSTGRES_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>
#include <libpq-fe.h>

#include "core/buf.h"

typedef struct gl_pg_rows {
  int ncols;
  int count;
  bool known;   /* its columns are */
  gl_buf names; /* ncols strings, each with its NUL */
  gl_buf types; /* ncols gl_pg_type */
  gl_buf cells; /* count * ncols of rows.c's own */
  gl_buf bytes; /* what is in the cells, each with a NUL */
} gl_pg_rows;

/* Takes the columns from a result, unless they are known. False: out of memory. */
bool gl_pg_rows_columns(gl_pg_rows *rows, const PGresult *r);

/* Adds the row of a result, whose columns are known. False: out of memory. */
bool gl_pg_rows_add(gl_pg_rows *rows, const PGresult *r);

static inline size_t gl_pg_rows_bytes(const gl_pg_rows *rows) { return rows->cells.len + rows->bytes.len + (size_t)rows->count; }

/* Empties and frees the buffers, not `rows` itself. */
void gl_pg_rows_clear(gl_pg_rows *rows);

/* Pushes the array of rows, tables without a key for NULL. May park; the caller keeps the rows. Raises when memory is out, and what
 * gl_pg_push_value does. */
void gl_pg_rows_push(lua_State *L, const gl_pg_rows *rows);

#endif
