/* SPDX-License-Identifier: MIT */
#include "db/sql.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/cut.h"
#include "core/error.h"

#define SHOWN 200     /* bytes of a statement in a message, */
#define INSPECTED 100 /* and in the inspector */

/* ---- text ---- */

const char *gl_sql_check(lua_State *L, int idx, size_t most, size_t *len) {
  const char *text = luaL_checklstring(L, idx, len);
  if (strlen(text) != *len) gl_error_misuse(L, "the statement has a NUL in it");
  if (*len >= most) gl_error_misuse(L, "the statement is too long");
  return text;
}

uint32_t gl_sql_hash(const char *sql, size_t len) { /* FNV-1a */
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)sql[i]) * 16777619u;
  return h;
}

void gl_sql_object(const char *sql, char *out, size_t size) { snprintf(out, size < INSPECTED ? size : INSPECTED, "%s", sql); }

/* ---- errors ---- */

/* Pushes the statement on one line, cut after SHOWN bytes. */
static void push_shown(lua_State *L, const char *sql) {
  char text[SHOWN + 4];
  size_t n = 0;
  for (; *sql && n < SHOWN; sql++) {
    bool blank = *sql == ' ' || *sql == '\n' || *sql == '\t' || *sql == '\r';
    if (blank && (n == 0 || text[n - 1] == ' ')) continue;
    text[n++] = blank ? ' ' : *sql;
  }
  if (*sql) n = gl_cut_whole(text, n);
  strcpy(text + n, *sql ? "..." : "");
  lua_pushstring(L, text);
}

void gl_sql_push_error(lua_State *L, const char *op, const char *code, const char *reason, const char *sql) {
  luaL_checkstack(L, 8, NULL);
  if (!sql) {
    gl_error_push(L, op, code, "%s", reason);
    return;
  }
  push_shown(L, sql);
  gl_error_push(L, op, code, "%s, in: %s", reason, lua_tostring(L, -1));
  lua_pushstring(L, sql);
  lua_setfield(L, -2, "sql");
}

/* ---- results ---- */

void gl_sql_push_names(lua_State *L, const char *names, int n) {
  luaL_checkstack(L, n + 8, "too many columns");
  for (int i = 0; i < n; i++, names += strlen(names) + 1) lua_pushstring(L, names);
}

static void push_columns(lua_State *L, const char *names, int n) {
  lua_createtable(L, n, 0);
  for (int i = 1; i <= n; i++, names += strlen(names) + 1) {
    lua_pushstring(L, names);
    lua_rawseti(L, -2, i);
  }
}

void gl_sql_set_result(lua_State *L, const char *names, int n, int64_t affected, const int64_t *last_id) {
  lua_createtable(L, 0, 2);
  lua_createtable(L, 0, 3);
  push_columns(L, names, n);
  lua_setfield(L, -2, "columns");
  lua_pushinteger(L, affected);
  lua_setfield(L, -2, "affected");
  if (last_id) {
    lua_pushinteger(L, *last_id);
    lua_setfield(L, -2, "last_id");
  }
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__jsontype");
  lua_setmetatable(L, -2);
}
