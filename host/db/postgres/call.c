/* SPDX-License-Identifier: MIT */
#include "db/postgres/call.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

#include "core/block.h"
#include "core/error.h"
#include "core/hex.h"
#include "db/blob.h"
#include "db/postgres/types.h"
#include "db/sql.h"
#include "json/json.h"
#include "json/number.h"

#define MAX_TEXT ((size_t)0x3fffffff) /* bytes: a message to the server is smaller than 1 GiB */
#define MAX_PARAMETERS 65535          /* the protocol's own limit */

/* ---- checking ---- */

/* Puts a userdata with the JSON text into the table's place, by which gl_pg_call_new tells it from a string. */
static size_t check_table(lua_State *L, int idx) {
  gl_json_text text;
  luaL_checkstack(L, 5, NULL);
  lua_newuserdatauv(L, 0, 1);
  int holder = lua_gettop(L);
  lua_pushvalue(L, idx);
  gl_json_encode(L, &text, false);
  size_t len = (size_t)(text.at - text.start);
  lua_pushlstring(L, text.start, len);
  gl_json_done(L, &text);
  lua_setiuservalue(L, holder, 1);
  lua_settop(L, holder);
  lua_replace(L, idx);
  return len;
}

static size_t check_text(lua_State *L, const char *op, int number, const char *s, size_t len) {
  if (memchr(s, '\0', len))
    gl_error_raise(L, op, "22021", "parameter $%d has a NUL in it, which PostgreSQL's text cannot have; bytes are stored as green.db.blob",
                   number);
  return len + 1;
}

static size_t check_value(lua_State *L, const char *op, int idx, int number) {
  size_t len = 0;
  const char *s;
  switch (lua_type(L, idx)) {
    case LUA_TNIL: return 0;
    case LUA_TBOOLEAN: return 2;
    case LUA_TNUMBER: return GL_NUMBER_MAX + 1;
    case LUA_TTABLE: len = check_table(L, idx) + 1; break;
    case LUA_TSTRING:
      s = lua_tolstring(L, idx, &len);
      len = check_text(L, op, number, s, len);
      break;
    case LUA_TLIGHTUSERDATA: if (!lua_touserdata(L, idx)) return 0; /* green.null */ /* fallthrough */
    default:
      if (!gl_blob_string(L, idx, &len))
        return (size_t)gl_error_misuse(L, "parameter $%d is a %s: only strings, numbers, booleans, tables, nil, green.null and blobs can be stored",
                                       number, luaL_typename(L, idx));
      len++;
  }
  if (len > MAX_TEXT) return (size_t)gl_error_misuse(L, "parameter $%d is longer than %d bytes", number, (int)MAX_TEXT);
  return len;
}

size_t gl_pg_call_check(lua_State *L, const char *op, int sql, int first) {
  size_t len;
  gl_sql_check(L, sql, MAX_TEXT, &len);
  int n = lua_gettop(L) - first + 1;
  if (n > MAX_PARAMETERS) gl_error_misuse(L, "a statement has at most %d parameters", MAX_PARAMETERS);
  luaL_checkstack(L, 5, NULL);
  size_t each = sizeof(char *) + 2 * sizeof(int) + sizeof(Oid) + 1;
  size_t size = sizeof(gl_pg_call) + (size_t)n * each + len + 1;
  for (int i = 0; i < n; i++) size += check_value(L, op, first + i, i + 1);
  return size;
}

/* ---- copying ---- */

/* Writes a number with no more digits than it needs; a whole one without a point, as it may be meant for an integer. */
static char *put_number(lua_State *L, int idx, char *to) {
  if (lua_isinteger(L, idx)) return gl_number_put_integer(to, lua_tointeger(L, idx));
  double n = lua_tonumber(L, idx);
  if (isnan(n)) return stpcpy(to, "NaN");
  if (isinf(n)) return stpcpy(to, n < 0 ? "-Infinity" : "Infinity");
  char *end = gl_number_put_float(to, n);
  return end - to > 2 && end[-1] == '0' && end[-2] == '.' ? end - 2 : end;
}

static char *put_text(char *to, const char *s, size_t len) { return (char *)memcpy(to, s, len) + len; }

static char *put_userdata(lua_State *L, int idx, gl_pg_call *call, int i, char *to) {
  size_t len;
  const char *s = gl_blob_string(L, idx, &len);
  if (s) {
    call->formats[i] = 1;
    call->types[i] = GL_PG_BYTEA;
    call->lengths[i] = (int)len;
    return put_text(to, s, len);
  }
  lua_getiuservalue(L, idx, 1);
  s = lua_tolstring(L, -1, &len);
  if (*s == '[') call->is_list[i] = call->lists = true;
  to = put_text(to, s, len);
  lua_pop(L, 1);
  return to;
}

static char *put_value(lua_State *L, int idx, gl_pg_call *call, int i, char *to) {
  size_t len;
  const char *s;
  call->values[i] = to;
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN: *to++ = lua_toboolean(L, idx) ? 't' : 'f'; break;
    case LUA_TNUMBER: to = put_number(L, idx, to); break;
    case LUA_TSTRING:
      s = lua_tolstring(L, idx, &len);
      to = put_text(to, s, len);
      break;
    case LUA_TUSERDATA: to = put_userdata(L, idx, call, i, to); break;
    default: /* nil, green.null */
      call->values[i] = NULL;
      return to;
  }
  *to++ = '\0';
  return to;
}

gl_pg_call *gl_pg_call_new(lua_State *L, int sql, int first, size_t size) {
  size_t n = (size_t)(lua_gettop(L) - first + 1), len;
  gl_pg_call *call = gl_memory_resize(NULL, 0, size);
  if (!call) return NULL;
  memset(call, 0, size);
  call->size = size;
  call->n = (int)n;
  call->values = (const char **)(call + 1);
  call->lengths = (int *)(call->values + n);
  call->formats = call->lengths + n;
  call->types = (Oid *)(call->formats + n);
  call->is_list = (char *)(call->types + n);
  char *to = call->is_list + n;
  for (int i = 0; i < call->n; i++) to = put_value(L, first + i, call, i, to);
  const char *text = lua_tolstring(L, sql, &len);
  call->sql = memcpy(to, text, len + 1);
  return call;
}

void gl_pg_call_free(gl_pg_call *call) {
  if (call) gl_memory_resize(call, call->size, 0);
}

/* ---- lists ---- */

/* Copies a string of JSON, which begins at `*from`, as an array has it: only quotes and backslashes are escaped. JSON writes \u for what
 * is below U+0020 and U+007F alone, if that has no letter. */
static char *copy_string(char *to, const char **from) {
  const char *at = *from;
  for (*to++ = *at++; *at != '"'; at++) {
    if (*at != '\\') {
      *to++ = *at;
      continue;
    }
    switch (*++at) {
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case 'n': *to++ = '\n'; break;
      case 'r': *to++ = '\r'; break;
      case 't': *to++ = '\t'; break;
      case 'u':
        *to++ = (char)(gl_hex(at[3]) << 4 | gl_hex(at[4]));
        at += 4;
        break;
      case '/': *to++ = '/'; break;
      default:
        *to++ = '\\';
        *to++ = *at;
    }
  }
  *to++ = '"';
  *from = at + 1;
  return to;
}

/* [1,"a",null,[2.0]] -> {1,"a",null,{2.0}}, which is never longer. */
static void make_array(char *text) {
  char *to = text;
  for (const char *at = text; *at;) {
    if (*at == '"') to = copy_string(to, &at);
    else *to++ = *at == '[' ? '{' : *at == ']' ? '}' : *at, at++;
  }
  *to = '\0';
}

void gl_pg_call_want(gl_pg_call *call, int i, Oid type) {
  if (i < call->n && call->is_list[i] && gl_pg_is_array(type)) make_array((char *)(uintptr_t)call->values[i]);
  if (i < call->n) call->is_list[i] = false;
}
