/* SPDX-License-Identifier: MIT */
#include "stdlib/find.h"

#include <stdint.h>
#include <string.h>

#include "core/preempt.h"
#include "stdlib/match.h"
#include "stdlib/range.h"

#define PIECE ((size_t)1 << 20) /* bytes searched between two looks at the slice */
#define FALSE_STARTS 64         /* candidates after which memmem is worth its preparations */

/* ---- plain texts ---- */

#define BIT(c) (1ull << ((c) % 64))

/* A mask for each 64 characters: to ask strchr for each would be a fifth of what it costs to find a word. */
static bool has_specials(const char *p, size_t length) {
  static const uint64_t specials[4] = {BIT('$') | BIT('*') | BIT('+') | BIT('?') | BIT('.') | BIT('(') | BIT('%') | BIT('-'), BIT('^') | BIT('['), 0, 0};
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)p[i];
    if (specials[c / 64] >> c % 64 & 1) return true;
  }
  return false;
}

/* Searches in pieces, each with the bytes that a text across its end needs. The work is linear in both texts. */
static const char *search_pieces(lua_State *L, const char *s, size_t length, const char *what, size_t n) {
  size_t piece = n > PIECE ? 4 * n : PIECE;
  while (length >= n) {
    size_t part = length < piece + n ? length : piece + n;
    const char *found = memmem(s, part, what, n);
    if (found || part == length) return found;
    s += piece;
    length -= piece;
    gl_preempt_check(L);
  }
  return NULL;
}

static const char *search_plain(lua_State *L, const char *s, size_t length, const char *what, size_t n) {
  if (n == 0) return s;
  const char *end = s + length;
  for (int i = 0; i < FALSE_STARTS && (size_t)(end - s) >= n; i++) {
    size_t starts = (size_t)(end - s) - n + 1;
    if (starts > PIECE) break;
    s = memchr(s, *what, starts);
    if (!s) return NULL;
    if (memcmp(s, what, n) == 0) return s;
    s++;
  }
  return search_pieces(L, s, (size_t)(end - s), what, n);
}

/* ---- find, match ---- */

static int find_plain(lua_State *L, const char *s, size_t length, const char *what, size_t n, size_t from) {
  const char *found = search_plain(L, s + from, length - from, what, n);
  if (!found) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, found - s + 1);
  lua_pushinteger(L, (lua_Integer)(found - s) + (lua_Integer)n);
  return 2;
}

static int find_or_match(lua_State *L, bool find) {
  size_t length, n;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &n);
  size_t from = gl_range_start(luaL_optinteger(L, 3, 1), length) - 1;
  if (from > length) {
    luaL_pushfail(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || !has_specials(p, n))) return find_plain(L, s, length, p, n, from);
  bool anchored = *p == '^';
  gl_match m;
  gl_match_init(&m, L, s, length, p + n, 0);
  const char *start = s + from, *end = anchored ? gl_match_at(&m, start, p + 1) : gl_match_find(&m, &start, p);
  if (!end) {
    luaL_pushfail(L);
    return 1;
  }
  if (!find) return gl_match_push_all(&m, start, end);
  lua_pushinteger(L, start - s + 1);
  lua_pushinteger(L, end - s);
  return gl_match_push_all(&m, NULL, NULL) + 2;
}

int gl_string_find(lua_State *L) { return find_or_match(L, true); }

int gl_string_match(lua_State *L) { return find_or_match(L, false); }

/* ---- gmatch ---- */

/* An iterator. The two strings are upvalues beside it. */
typedef struct gl_matches {
  const char *subject, *pattern, *pattern_end;
  size_t length;    /* of the subject */
  const char *next; /* where the next match may begin */
  const char *last; /* where the last one ended, or NULL */
} gl_matches;

/* Upvalues: subject, pattern, gl_matches. */
static int next_match(lua_State *L) {
  gl_matches *g = lua_touserdata(L, lua_upvalueindex(3));
  gl_match m;
  gl_match_init(&m, L, g->subject, g->length, g->pattern_end, 0);
  const char *last = g->last; /* another task may call the iterator meanwhile */
  for (const char *s = g->next; s <= m.subject_end; s++) {
    const char *end = gl_match_find(&m, &s, g->pattern);
    if (!end) return 0;
    if (end == last) continue;
    g->next = g->last = end;
    return gl_match_push_all(&m, s, end);
  }
  return 0;
}

int gl_string_gmatch(lua_State *L) {
  size_t length, n;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &n);
  size_t from = gl_range_start(luaL_optinteger(L, 3, 1), length) - 1;
  lua_settop(L, 2);
  gl_matches *g = lua_newuserdatauv(L, sizeof *g, 0);
  *g = (gl_matches){s, p, p + n, length, s + (from > length ? length + 1 : from), NULL};
  lua_pushcclosure(L, next_match, 3);
  return 1;
}
