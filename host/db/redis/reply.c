/* SPDX-License-Identifier: MIT */
#include "db/redis/reply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/error.h"
#include "db/redis/resp.h"

/* ---- replies ---- */

/* "WRONGTYPE Operation against ..." -> the code WRONGTYPE; an error whose first word is no code has ERR. */
static void push_error(lua_State *L, const char *op, const char *text, size_t len) {
  size_t word = 0;
  while (word < len && ((text[word] >= 'A' && text[word] <= 'Z') || (word && text[word] >= '0' && text[word] <= '9'))) word++;
  const char *code = word && (word == len || text[word] == ' ') ? lua_pushlstring(L, text, word) : lua_pushliteral(L, "ERR");
  const char *message = lua_pushlstring(L, text, len);
  gl_error_push(L, op, code, "%s", message);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void push_double(lua_State *L, const gl_resp_head *h) {
  char text[64];
  size_t n = h->len < sizeof text - 1 ? h->len : sizeof text - 1;
  memcpy(text, h->text, n);
  text[n] = 0;
  lua_pushnumber(L, strtod(text, NULL)); /* which knows inf and nan, as the protocol writes them */
}

static void push_list(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at, int64_t count) {
  lua_createtable(L, count < 1 << 20 ? (int)count : 1 << 20, 0); /* a count that lies costs no more than this */
  for (int64_t i = 1; i <= count; i++) {
    gl_redis_push_item(L, op, bytes, n, at);
    lua_rawseti(L, -2, i);
  }
}

static void push_map(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at, int64_t count) {
  lua_createtable(L, 0, count < 1 << 20 ? (int)count : 1 << 20);
  for (int64_t i = 1; i <= count; i++) {
    gl_redis_push_reply(L, op, bytes, n, at);
    gl_redis_push_reply(L, op, bytes, n, at);
    if (lua_isnil(L, -2) || (lua_type(L, -2) == LUA_TNUMBER && isnan(lua_tonumber(L, -2)))) lua_pop(L, 2); /* no key for a table */
    else lua_rawset(L, -3);
  }
}

static void push_bulk(lua_State *L, const char *op, const char *bytes, size_t *at, const gl_resp_head *h) {
  if (h->number < 0) {
    lua_pushnil(L);
    return;
  }
  size_t len = (size_t)h->number;
  const char *text = gl_resp_bulk(bytes, at, h);
  if (h->type == '!') push_error(L, op, text, len);
  else if (h->type == '=' && len >= 4) lua_pushlstring(L, text + 4, len - 4); /* behind "txt:" */
  else lua_pushlstring(L, text, len);
}

void gl_redis_push_reply(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at) {
  luaL_checkstack(L, 8, op);
  gl_resp_head h = gl_resp_read(bytes, n, at);
  switch (h.type) {
    case ':': lua_pushinteger(L, h.number); return;
    case '$': case '!': case '=': push_bulk(L, op, bytes, at, &h); return;
    case '-': push_error(L, op, h.text, h.len); return;
    case ',': push_double(L, &h); return;
    case '#': lua_pushboolean(L, *h.text == 't'); return;
    case '_': lua_pushnil(L); return;
    case '*': case '~': case '>':
      if (h.number < 0) lua_pushnil(L);
      else push_list(L, op, bytes, n, at, h.number);
      return;
    case '%': push_map(L, op, bytes, n, at, h.number); return;
    case '|':
      push_map(L, op, bytes, n, at, h.number);
      lua_pop(L, 1);
      gl_redis_push_reply(L, op, bytes, n, at);
      return;
    default: lua_pushlstring(L, h.text, h.len); return;
  }
}

void gl_redis_push_item(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at) {
  gl_redis_push_reply(L, op, bytes, n, at);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
}

int gl_redis_is_error(const char *bytes, size_t at) { return bytes[at] == '-' || bytes[at] == '!'; }

/* ---- commands ---- */

/* Writes the number with the fewest digits that read as the same number. */
static void shorten(lua_State *L, int idx) {
  char text[40];
  lua_Number number = lua_tonumber(L, idx);
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number) break;
  }
  lua_pushstring(L, text);
  lua_replace(L, idx);
}

static size_t digits_of(size_t n) {
  size_t digits = 1;
  while (n >= 10) {
    n /= 10;
    digits++;
  }
  return digits;
}

size_t gl_redis_measure(lua_State *L, int first, int last) {
  size_t len, size = 1 + digits_of((size_t)(last - first + 1)) + 2;
  for (int i = first; i <= last; i++) {
    if (lua_type(L, i) == LUA_TNUMBER && !lua_isinteger(L, i)) shorten(L, i);
    else if (lua_type(L, i) != LUA_TNUMBER && lua_type(L, i) != LUA_TSTRING)
      gl_error_misuse(L, "redis: argument %d of a command: a string or a number expected, got %s", i - first, luaL_typename(L, i));
    lua_tolstring(L, i, &len);
    size += 1 + digits_of(len) + 2 + len + 2;
  }
  return size;
}

static char *put_head(char *to, char type, size_t n) {
  size_t digits = digits_of(n);
  *to = type;
  for (size_t i = digits; i > 0; i--, n /= 10) to[i] = (char)('0' + n % 10);
  memcpy(to + 1 + digits, "\r\n", 2);
  return to + 1 + digits + 2;
}

void gl_redis_write(lua_State *L, int first, int last, char *at) {
  at = put_head(at, '*', (size_t)(last - first + 1));
  for (int i = first; i <= last; i++) {
    size_t len;
    const char *text = lua_tolstring(L, i, &len);
    at = put_head(at, '$', len);
    memcpy(at, text, len);
    memcpy(at + len, "\r\n", 2);
    at += len + 2;
  }
}
