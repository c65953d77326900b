/* SPDX-License-Identifier: MIT */
#include "db/postgres/types.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "core/hex.h"
#include "json/json.h"
#include "json/number.h"

/* ---- which there are ---- */

typedef struct row {
  uint16_t type, array; /* 0 = none */
  uint8_t kind;
} row;

/* Types that become text are here for their arrays. */
static const row rows[] = {
  {16, 1000, GL_PG_BOOLEAN}, {GL_PG_BYTEA, 1001, GL_PG_BYTES}, {20, 1016, GL_PG_INTEGER}, {21, 1005, GL_PG_INTEGER}, {23, 1007, GL_PG_INTEGER},
  {26, 1028, GL_PG_INTEGER}, {700, 1021, GL_PG_FLOAT},         {701, 1022, GL_PG_FLOAT},  {114, 199, GL_PG_JSON},    {3802, 3807, GL_PG_JSON},
  {18, 1002, GL_PG_TEXT},    {19, 1003, GL_PG_TEXT},           {25, 1009, GL_PG_TEXT},    {1042, 1014, GL_PG_TEXT},  {1043, 1015, GL_PG_TEXT},
  {1082, 1182, GL_PG_TEXT},  {1083, 1183, GL_PG_TEXT},         {1114, 1115, GL_PG_TEXT},  {1184, 1185, GL_PG_TEXT},  {1186, 1187, GL_PG_TEXT},
  {1266, 1270, GL_PG_TEXT},  {1700, 1231, GL_PG_TEXT},         {2950, 2951, GL_PG_TEXT},  {869, 1041, GL_PG_TEXT},   {650, 651, GL_PG_TEXT},
};

gl_pg_type gl_pg_type_of(Oid type) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].type == type) return (gl_pg_type){rows[i].kind, false};
    if (rows[i].array == type) return (gl_pg_type){rows[i].kind, true};
  }
  return (gl_pg_type){GL_PG_TEXT, false};
}

bool gl_pg_is_array(Oid type) { return gl_pg_type_of(type).is_array; }

/* ---- single values ---- */

static void push_float(lua_State *L, const char *text) {
  gl_number n;
  if (*text == 'N') lua_pushnumber(L, (lua_Number)NAN);
  else if (*text == 'I') lua_pushnumber(L, HUGE_VAL);
  else if (text[0] == '-' && text[1] == 'I') lua_pushnumber(L, -HUGE_VAL);
  else {
    gl_number_read(text, &n);
    lua_pushnumber(L, n.kind == GL_NUMBER_INTEGER ? (lua_Number)n.integer : n.real);
  }
}

static void push_integer(lua_State *L, const char *text) {
  gl_number n;
  gl_number_read(text, &n);
  lua_pushinteger(L, n.kind == GL_NUMBER_INTEGER ? n.integer : 0);
}

/* Both forms of bytea_output: \x6869, and the older one in which \\ and \011 stand for what is no plain character. */
static void push_bytes(lua_State *L, const char *text, size_t n) {
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, n), *start = to;
  if (n >= 2 && text[0] == '\\' && text[1] == 'x') {
    for (const char *at = text + 2; at + 1 < text + n; at += 2) *to++ = (char)(gl_hex(at[0]) * 16 + gl_hex(at[1]));
  } else {
    for (const char *at = text, *end = text + n; at < end; at++) {
      if (*at != '\\' || at + 1 == end) *to++ = *at;
      else if (at[1] == '\\') *to++ = *++at;
      else if (end - at >= 4) *to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')), at += 3;
    }
  }
  luaL_pushresultsize(&b, (size_t)(to - start));
}

static void push_single(lua_State *L, gl_pg_kind kind, const char *text, size_t n) {
  switch (kind) {
    case GL_PG_INTEGER: push_integer(L, text); break;
    case GL_PG_FLOAT: push_float(L, text); break;
    case GL_PG_BOOLEAN: lua_pushboolean(L, *text == 't'); break;
    case GL_PG_BYTES: push_bytes(L, text, n); break;
    case GL_PG_JSON: gl_json_decode(L, text, n); break;
    default: lua_pushlstring(L, text, n);
  }
}

/* ---- arrays ---- */

#define MOST_DIMENSIONS 6 /* of PostgreSQL's arrays */

typedef struct reader {
  lua_State *L;
  gl_pg_kind kind;
  const char *at, *end;
} reader;

/* Pushes the element in quotes that begins at r->at. */
static void push_quoted(reader *r) {
  luaL_Buffer b;
  luaL_buffinit(r->L, &b);
  for (r->at++; r->at < r->end && *r->at != '"'; r->at++) {
    if (*r->at == '\\' && r->at + 1 < r->end) r->at++;
    luaL_addchar(&b, *r->at);
  }
  if (r->at < r->end) r->at++;
  luaL_pushresult(&b);
}

static void push_element(reader *r) {
  size_t n;
  if (*r->at == '"') {
    push_quoted(r);
  } else {
    size_t len = strcspn(r->at, ",}");
    bool null = len == 4 && memcmp(r->at, "NULL", 4) == 0;
    if (null) lua_pushlightuserdata(r->L, NULL);
    else lua_pushlstring(r->L, r->at, len);
    r->at += len;
    if (null) return;
  }
  const char *text = lua_tolstring(r->L, -1, &n);
  push_single(r->L, r->kind, text, n);
  lua_remove(r->L, -2);
}

static void push_array(reader *r, int depth) { /* from behind its brace */
  luaL_checkstack(r->L, 6, NULL);
  lua_newtable(r->L);
  for (lua_Integer i = 1; r->at < r->end && *r->at != '}'; i++) {
    if (*r->at == '{' && depth < MOST_DIMENSIONS) {
      r->at++;
      push_array(r, depth + 1);
    } else {
      push_element(r);
    }
    lua_rawseti(r->L, -2, i);
    if (r->at < r->end && *r->at == ',') r->at++;
  }
  r->at++;
  gl_json_push_array(r->L);
  lua_setmetatable(r->L, -2);
}

void gl_pg_push_value(lua_State *L, gl_pg_type type, const char *text, size_t n) {
  reader r = {.L = L, .kind = type.kind, .at = text, .end = text + n};
  if (!type.is_array) {
    push_single(L, type.kind, text, n);
    return;
  }
  const char *brace = strchr(text, '{'); /* before it may be bounds, [0:2]= */
  if (!brace) {
    lua_pushlstring(L, text, n);
    return;
  }
  r.at = brace + 1;
  push_array(&r, 1);
}
