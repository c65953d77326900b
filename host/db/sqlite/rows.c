/* SPDX-License-Identifier: MIT */
#include "db/sqlite/rows.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/memory.h"
#include "db/blob.h"
#include "db/sql.h"

#define MAX_TEXT ((size_t)1000000000) /* SQLite's own limit */

/* ---- parameters ---- */

static size_t check_value(lua_State *L, int idx, int number) {
  size_t len = 0;
  switch (lua_type(L, idx)) {
    case LUA_TNIL: case LUA_TBOOLEAN: case LUA_TNUMBER: return 0;
    case LUA_TSTRING: lua_tolstring(L, idx, &len); break;
    case LUA_TLIGHTUSERDATA: if (!lua_touserdata(L, idx)) return 0; /* green.null */ /* fallthrough */
    default:
      if (!gl_blob_string(L, idx, &len))
        return (size_t)gl_error_misuse(L, "parameter $%d is a %s: only strings, numbers, booleans, nil, green.null and blobs can be stored",
                                       number, luaL_typename(L, idx));
  }
  if (len > MAX_TEXT) return (size_t)gl_error_misuse(L, "parameter $%d is longer than %d bytes", number, (int)MAX_TEXT);
  return len;
}

size_t gl_sqlite_call_check(lua_State *L, int sql, int first) {
  size_t len;
  gl_sql_check(L, sql, MAX_TEXT, &len);
  luaL_checkstack(L, 2, NULL);
  int n = lua_gettop(L) - first + 1;
  size_t size = sizeof(gl_sqlite_call) + (size_t)n * sizeof(gl_sqlite_value) + len + 1;
  for (int i = 0; i < n; i++) size += check_value(L, first + i, i + 1);
  return size;
}

static char *copy_text(gl_sqlite_value *v, uint32_t type, char *to, const char *s, size_t len) {
  v->type = type;
  v->len = (uint32_t)len;
  v->as.ptr = memcpy(to, s, len);
  return to + len;
}

static char *copy_value(lua_State *L, int idx, gl_sqlite_value *v, char *to) {
  size_t len;
  const char *s;
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN:
      v->type = SQLITE_INTEGER;
      v->as.integer = lua_toboolean(L, idx);
      return to;
    case LUA_TNUMBER:
      v->type = lua_isinteger(L, idx) ? SQLITE_INTEGER : SQLITE_FLOAT;
      if (v->type == SQLITE_INTEGER) v->as.integer = lua_tointeger(L, idx);
      else v->as.real = lua_tonumber(L, idx);
      return to;
    case LUA_TSTRING:
      s = lua_tolstring(L, idx, &len);
      return copy_text(v, SQLITE_TEXT, to, s, len);
    case LUA_TUSERDATA:
      s = gl_blob_string(L, idx, &len);
      return copy_text(v, SQLITE_BLOB, to, s, len);
    default: /* nil, green.null */
      v->type = SQLITE_NULL;
      return to;
  }
}

gl_sqlite_call *gl_sqlite_call_new(lua_State *L, int sql, int first, size_t size) {
  int n = lua_gettop(L) - first + 1;
  gl_sqlite_call *call = gl_memory_resize(NULL, 0, size);
  if (!call) return NULL;
  call->size = size;
  char *to = (char *)&call->values[n];
  for (int i = 0; i < n; i++) to = copy_value(L, first + i, &call->values[i], to);
  size_t len;
  const char *text = lua_tolstring(L, sql, &len);
  call->sql = memcpy(to, text, len + 1);
  call->len = (int)len;
  call->n = n;
  return call;
}

/* ---- rows ---- */

static void push_value(lua_State *L, const gl_sqlite_rows *rows, const gl_sqlite_value *v) {
  switch (v->type) {
    case SQLITE_INTEGER: lua_pushinteger(L, v->as.integer); break;
    case SQLITE_FLOAT: lua_pushnumber(L, v->as.real); break;
    default: lua_pushlstring(L, v->len ? gl_buf_at(&rows->bytes) + v->as.off : "", v->len);
  }
}

void gl_sqlite_push_rows(lua_State *L, const gl_sqlite_rows *rows) {
  const gl_sqlite_value *v = (void *)gl_buf_at(&rows->cells);
  int names = lua_gettop(L) + 2;
  lua_createtable(L, rows->count, 0);
  gl_sql_push_names(L, gl_buf_at(&rows->names), rows->ncols);
  for (int r = 1; r <= rows->count; r++) {
    lua_createtable(L, 0, rows->ncols);
    for (int c = 0; c < rows->ncols; c++, v++) {
      if (v->type == SQLITE_NULL) continue;
      lua_pushvalue(L, names + c);
      push_value(L, rows, v);
      lua_rawset(L, -3);
    }
    lua_rawseti(L, names - 1, r);
  }
  lua_settop(L, names - 1);
}
