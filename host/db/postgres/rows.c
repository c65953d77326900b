/* SPDX-License-Identifier: MIT */
#include "db/postgres/rows.h"

#include <string.h>

#include <lauxlib.h>

#include "db/postgres/types.h"
#include "db/sql.h"

typedef struct cell {
  size_t off; /* in `bytes` */
  int len;    /* -1: NULL */
} cell;

bool gl_pg_rows_columns(gl_pg_rows *rows, const PGresult *r) {
  if (rows->known) return true;
  int n = PQnfields(r);
  for (int i = 0; i < n; i++) {
    const char *name = PQfname(r, i);
    gl_pg_type type = gl_pg_type_of(PQftype(r, i));
    if (!gl_buf_add(&rows->names, name, strlen(name) + 1) || !gl_buf_add(&rows->types, &type, sizeof type)) return false;
  }
  rows->ncols = n;
  rows->known = true;
  return true;
}

bool gl_pg_rows_add(gl_pg_rows *rows, const PGresult *r) {
  for (int i = 0; i < rows->ncols; i++) {
    bool null = PQgetisnull(r, 0, i);
    cell c = {.off = rows->bytes.len, .len = null ? -1 : PQgetlength(r, 0, i)};
    if (!null && !gl_buf_add(&rows->bytes, PQgetvalue(r, 0, i), (size_t)c.len + 1)) return false;
    if (!gl_buf_add(&rows->cells, &c, sizeof c)) return false;
  }
  rows->count++;
  return true;
}

void gl_pg_rows_clear(gl_pg_rows *rows) {
  gl_buf_free(&rows->names);
  gl_buf_free(&rows->types);
  gl_buf_free(&rows->cells);
  gl_buf_free(&rows->bytes);
  *rows = (gl_pg_rows){0};
}

static void push_row(lua_State *L, const gl_pg_rows *rows, const cell *c, int names) {
  const gl_pg_type *types = (void *)gl_buf_at(&rows->types);
  lua_createtable(L, 0, rows->ncols);
  for (int i = 0; i < rows->ncols; i++, c++) {
    if (c->len < 0) continue;
    lua_pushvalue(L, names + i);
    gl_pg_push_value(L, types[i], gl_buf_at(&rows->bytes) + c->off, (size_t)c->len);
    lua_rawset(L, -3);
  }
}

void gl_pg_rows_push(lua_State *L, const gl_pg_rows *rows) {
  const cell *c = (void *)gl_buf_at(&rows->cells);
  int names = lua_gettop(L) + 2;
  lua_createtable(L, rows->count, 0);
  gl_sql_push_names(L, gl_buf_at(&rows->names), rows->ncols);
  for (int r = 1; r <= rows->count; r++, c += rows->ncols) {
    push_row(L, rows, c, names);
    lua_rawseti(L, names - 1, r);
  }
  lua_settop(L, names - 1);
}
