/* SPDX-License-Identifier: MIT */
#include "web/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "h1/fields.h"
#include "web/response.h"

/* ---- headers ---- */

int gl_handler_error(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return lua_error(L);
}

static bool is(const char *name, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++) {
    char ch = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    if (ch != lower[i]) return false; /* also at the 0 of a `lower` that is shorter */
  }
  return lower[n] == 0;
}

static void check_name(lua_State *L, const gl_plan *p, const char *name, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!gl_is_token_char(name[i])) gl_handler_error(L, "invalid character in the name of %s '%s'", p->what, name);
  if (!n) gl_handler_error(L, "a %s has an empty name", p->what);
}

/* Returns room for n bytes of text, and leaves room for one more field: text grows from the front of the scratch buffer, the list of
 * fields from its back. */
static char *room(lua_State *L, gl_plan *p, size_t n) {
  size_t list = (p->nfields + 1) * sizeof(gl_field);
  if (n > GL_SCRATCH - p->text_len || list > GL_SCRATCH - p->text_len - n)
    gl_handler_error(L, "the headers of a response are larger than %d bytes", GL_SCRATCH);
  char *to = p->text + p->text_len;
  p->text_len += n;
  return to;
}

/* Adds a header to a table; a name that is there already, be it in another case, gets a list of its values. */
static void add_to_table(lua_State *L, int table, const char *name, size_t n, const char *value, size_t len) {
  luaL_Buffer b;
  char *lower = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
  luaL_pushresultsize(&b, n); /* name */
  lua_pushvalue(L, -1);
  int type = lua_rawget(L, table); /* name before */
  if (type == LUA_TSTRING) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1); /* name list */
  }
  lua_pushlstring(L, value, len);
  if (type != LUA_TNIL) lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  else lua_replace(L, -2);
  lua_rawset(L, table);
}

static void add_field(lua_State *L, gl_plan *p, const char *name, size_t n, const char *value, size_t len) {
  if (p->table) {
    add_to_table(L, p->table, name, n, value, len);
    return;
  }
  uint32_t at = (uint32_t)p->text_len;
  char *to = room(L, p, n + len);
  memcpy(to, name, n);
  memcpy(to + n, value, len);
  p->fields[-1 - (long)p->nfields++] = (gl_field){.name = at, .name_len = (uint32_t)n, .value = at + (uint32_t)n, .value_len = (uint32_t)len};
}

/* Turns the list, which grew from the back, into the order in which the fields came. */
static void turn_list(gl_plan *p) {
  for (gl_field *first = p->fields - p->nfields, *last = p->fields - 1; first < last; first++, last--) {
    gl_field field = *first;
    *first = *last;
    *last = field;
  }
}

/* Is it a character that no field value may contain (RFC 9110, 5.5)? */
static bool is_control(char c) { return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f; }

/* Checks one value and, unless the header is `ours` to write, adds its line. */
static void read_value(lua_State *L, gl_plan *p, const char *name, size_t n, bool ours) {
  char number[32];
  size_t len;
  const char *value = number;
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING) {
    value = lua_tolstring(L, -1, &len);
    for (size_t i = 0; i < len; i++)
      if (is_control(value[i])) gl_handler_error(L, "%s '%s' contains a line break or another control character", p->what, name);
  } else if (type == LUA_TNUMBER) {
    len = (size_t)(lua_isinteger(L, -1) ? snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, -1))
                                        : snprintf(number, sizeof number, "%.14g", lua_tonumber(L, -1)));
  } else {
    gl_handler_error(L, "%s '%s' must be a string, not a %s", p->what, name, luaL_typename(L, -1));
    return;
  }
  if (!ours) add_field(L, p, name, n, value, len);
}

static void read_fields(lua_State *L, int idx, gl_plan *p) {
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    size_t n;
    if (lua_type(L, -2) != LUA_TSTRING) gl_handler_error(L, "the name of a %s must be a string, not a %s", p->what, luaL_typename(L, -2));
    const char *name = lua_tolstring(L, -2, &n);
    check_name(L, p, name, n);
    bool length = is(name, n, "content-length"), connection = is(name, n, "connection");
    bool ours = length || connection || is(name, n, "date");
    if (lua_istable(L, -1)) {
      for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) read_value(L, p, name, n, ours);
      lua_pop(L, 1);
    } else {
      read_value(L, p, name, n, ours);
    }
    if (is(name, n, "content-type")) p->has_type = true;
    if (connection) p->close = lua_type(L, -1) == LUA_TSTRING && strcasecmp(lua_tostring(L, -1), "close") == 0;
    if (is(name, n, "transfer-encoding")) gl_handler_error(L, "Transfer-Encoding is not a handler's to set");
    if (length) {
      int ok;
      p->length = lua_tointegerx(L, -1, &ok);
      p->has_length = true;
      if (!ok || p->length < 0) gl_handler_error(L, "Content-Length must be an integer >= 0");
    }
    lua_pop(L, 1);
  }
}

void gl_plan_read_headers(lua_State *L, int idx, gl_plan *p) {
  if (!lua_istable(L, idx)) return;
  read_fields(L, idx, p);
  if (!p->table) turn_list(p);
}

/* ---- the body ---- */

void gl_plan_write_json(lua_State *L, gl_plan_body *b) { /* value -> value text */
  gl_json_encode(L, &b->json, false);
  b->encoded = true;
  b->type = "application/json";
  b->at = b->json.start;
  b->n = (size_t)(b->json.at - b->json.start);
}

void gl_plan_find_body(lua_State *L, int idx, gl_plan_body *b) {
  b->type = b->at = NULL;
  b->n = 0;
  b->encoded = false;
  if (lua_getfield(L, idx, "json") != LUA_TNIL) return gl_plan_write_json(L, b);
  if (lua_getfield(L, idx, "body") == LUA_TNIL) return;
  if (lua_type(L, -1) != LUA_TSTRING) gl_handler_error(L, "the body of a response must be a string, not a %s", luaL_typename(L, -1));
  b->type = "text/plain; charset=utf-8";
  b->at = lua_tolstring(L, -1, &b->n);
}

/* ---- status and kind ---- */

static int read_status(lua_State *L) {
  int ok;
  lua_Integer status = lua_tointegerx(L, -1, &ok);
  if (!ok) gl_handler_error(L, "a response status must be an integer, not a %s", lua_isnumber(L, -1) ? "fraction" : luaL_typename(L, -1));
  if (status < 200 || status > 599) gl_handler_error(L, "a response status must be from 200 to 599, not %I", (LUAI_UACINT)status);
  return (int)status;
}

bool gl_plan_read(lua_State *L, int idx, gl_plan *p) {
  if (lua_getfield(L, idx, "headers") != LUA_TNIL && !lua_istable(L, -1))
    gl_handler_error(L, "the headers of a response must be a table, not a %s", luaL_typename(L, -1));
  p->status = lua_getfield(L, idx, "status") == LUA_TNIL ? 200 : read_status(L);
  bool stream = lua_getfield(L, idx, "stream") != LUA_TNIL;
  p->live = stream && lua_getfield(L, idx, "live") != LUA_TNIL;
  lua_settop(L, idx + 3); /* response headers status stream */
  return stream;
}

gl_table_kind gl_plan_kind(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return GL_TABLE_PLAIN;
  luaL_getmetatable(L, GL_RESPONSE_META);
  bool response = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (response) {
    lua_pop(L, 1);
    lua_getfield(L, -1, "settle");
  } else {
    lua_pushliteral(L, "__answer");
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  if (lua_isfunction(L, -1)) return GL_TABLE_SETTLES;
  lua_pop(L, 1);
  return response ? GL_TABLE_RESPONSE : GL_TABLE_PLAIN;
}

int gl_plan_refuse(lua_State *L) {
  bool null = lua_islightuserdata(L, -1) && !lua_touserdata(L, -1);
  return gl_handler_error(L, "a handler must return a string, a table, a response or nothing, not %s%s", null ? "" : "a ", null ? "JSON null" : luaL_typename(L, -1));
}
