/* SPDX-License-Identifier: MIT */
#include "stdlib/text.h"

#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "core/preempt.h"
#include "stdlib/pieces.h"

#define MAX_LENGTH ((size_t)INT_MAX) /* of what the stock string.rep makes */

typedef void (*change_piece)(char *to, const char *from, size_t n);

static void lower_piece(char *to, const char *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (char)tolower((unsigned char)from[i]);
}

static void upper_piece(char *to, const char *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (char)toupper((unsigned char)from[i]);
}

static int change(lua_State *L, change_piece change_some) {
  size_t length;
  luaL_Buffer b;
  const char *s = luaL_checklstring(L, 1, &length);
  char *to = luaL_buffinitsize(L, &b, length);
  size_t done = 0;
  for (; length - done > GL_PIECE; done += GL_PIECE) {
    change_some(to + done, s + done, GL_PIECE);
    gl_preempt_check(L);
  }
  change_some(to + done, s + done, length - done);
  luaL_pushresultsize(&b, length);
  return 1;
}

int gl_string_lower(lua_State *L) { return change(L, lower_piece); }

int gl_string_upper(lua_State *L) { return change(L, upper_piece); }

/* Copies the n bytes before `end`, the last one first. */
static void reverse_piece(char *to, const char *end, size_t n) {
  for (; n >= 8; n -= 8) {
    uint64_t eight;
    memcpy(&eight, end -= 8, 8);
    eight = __builtin_bswap64(eight);
    memcpy(to, &eight, 8);
    to += 8;
  }
  while (n-- > 0) *to++ = *--end;
}

int gl_string_reverse(lua_State *L) {
  size_t length;
  luaL_Buffer b;
  const char *s = luaL_checklstring(L, 1, &length);
  char *to = luaL_buffinitsize(L, &b, length);
  size_t left = length;
  for (; left > GL_PIECE; left -= GL_PIECE) {
    reverse_piece(to + (length - left), s + left, GL_PIECE);
    gl_preempt_check(L);
  }
  reverse_piece(to + (length - left), s + left, left);
  luaL_pushresultsize(&b, length);
  return 1;
}

/* Repeats the `unit` bytes at the start of the `total` bytes at `to` over all of them. */
static void repeat(lua_State *L, char *to, size_t unit, size_t total) {
  for (size_t done = unit; done < total;) {
    size_t n = done < total - done ? done : total - done;
    if (n > GL_PIECE) n = GL_PIECE > unit ? GL_PIECE / unit * unit : n;
    gl_pieces_copy(L, to + done, to, n);
    done += n;
    if (done >= GL_PIECE) gl_preempt_check(L);
  }
}

int gl_string_rep(lua_State *L) {
  size_t length, between;
  const char *s = luaL_checklstring(L, 1, &length);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &between);
  size_t unit = length + between;
  if (n <= 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (unit < length || unit > MAX_LENGTH / (lua_Unsigned)n) return luaL_error(L, "resulting string too large");
  size_t total = (size_t)n * unit - between;
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, total);
  gl_pieces_copy(L, to, s, length);
  if (n > 1) {
    gl_pieces_copy(L, to + length, separator, between);
    if (unit > 0) repeat(L, to, unit, total);
  }
  luaL_pushresultsize(&b, total);
  return 1;
}
