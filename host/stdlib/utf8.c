/* SPDX-License-Identifier: MIT */
#include "stdlib/utf8.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

#include "stdlib/steps.h"

#define MAX_UNICODE 0x10FFFF
#define MAX_LAX 0x7FFFFFFF

/* A position as scripts give it: from the end when negative, 0 when that is before the start. */
static lua_Integer position_of(lua_Integer i, size_t length) {
  if (i >= 0) return i;
  return 0 - (lua_Unsigned)i > length ? 0 : (lua_Integer)length + i + 1;
}

static inline bool is_continuation(char c) { return (c & 0xC0) == 0x80; }

/* How many bytes the character at s has; 0: it is malformed, or (unless `lax`) no character of Unicode. The string ends in a NUL. */
static size_t character_size(const char *s, bool lax) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
  unsigned char first = (unsigned char)*s;
  if (first < 0x80) return 1;
  size_t n = first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : first < 0xFC ? 5 : first < 0xFE ? 6 : 0;
  if (n == 0) return 0;
  uint32_t code = first & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (!is_continuation(s[i])) return 0;
    code = code << 6 | (s[i] & 0x3F);
  }
  if (code < least[n] || code > MAX_LAX) return 0;
  if (!lax && (code > MAX_UNICODE || (code >= 0xD800 && code <= 0xDFFF))) return 0;
  return n;
}

int gl_utf8_len(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  lua_Integer at = position_of(luaL_optinteger(L, 2, 1), length), last = position_of(luaL_optinteger(L, 3, -1), length), n = 0;
  bool lax = lua_toboolean(L, 4);
  luaL_argcheck(L, at >= 1 && at - 1 <= (lua_Integer)length, 2, "initial position out of bounds");
  luaL_argcheck(L, last - 1 < (lua_Integer)length, 3, "final position out of bounds");
  int steps = GL_STEPS;
  while (at <= last) {
    size_t size = character_size(s + at - 1, lax);
    if (size == 0) {
      luaL_pushfail(L);
      lua_pushinteger(L, at);
      return 2;
    }
    at += (lua_Integer)size;
    n++;
    gl_steps_count(L, &steps, 1);
  }
  lua_pushinteger(L, n);
  return 1;
}

/* Goes back from the offset `at` until n characters have begun, or the string. Takes these off *n. Returns the offset. */
static lua_Integer move_back(lua_State *L, const char *s, lua_Integer at, lua_Integer *n) {
  while (*n > 0 && at > 0) {
    for (lua_Integer stop = at > GL_STEPS ? at - GL_STEPS : 0; *n > 0 && at > stop;) {
      at--;
      *n -= at == 0 || !is_continuation(s[at]);
    }
    if (*n > 0) gl_preempt_check(L);
  }
  return at;
}

/* Goes on until n more characters have begun, or the string of that length ends, where a NUL counts as one. */
static lua_Integer move_on(lua_State *L, const char *s, lua_Integer length, lua_Integer at, lua_Integer *n) {
  while (*n > 0 && at < length) {
    for (lua_Integer stop = length - at > GL_STEPS ? at + GL_STEPS : length; *n > 0 && at < stop;) {
      at++;
      *n -= !is_continuation(s[at]);
    }
    if (*n > 0) gl_preempt_check(L);
  }
  return at;
}

int gl_utf8_offset(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  lua_Integer n = luaL_checkinteger(L, 2), at = position_of(luaL_optinteger(L, 3, n >= 0 ? 1 : (lua_Integer)length + 1), length);
  luaL_argcheck(L, at >= 1 && --at <= (lua_Integer)length, 3, "position out of bounds");
  lua_Integer left = n == 0 ? at > 0 && is_continuation(s[at]) : n > 0 ? n - 1 : n == LUA_MININTEGER ? LUA_MAXINTEGER : -n;
  if (n != 0 && is_continuation(s[at])) return luaL_error(L, "initial position is a continuation byte");
  at = n > 0 ? move_on(L, s, (lua_Integer)length, at, &left) : move_back(L, s, at, &left);
  if (left == 0) lua_pushinteger(L, at + 1);
  else luaL_pushfail(L);
  return 1;
}
