/* SPDX-License-Identifier: MIT */
#include "stdlib/gsub.h"

#include <string.h>

#include "stdlib/match.h"
#include "stdlib/pieces.h"

/* A substitution under way. Stack: 1 subject, 2 pattern, 3 replacement, 4 nil for gl_match, then what the buffer keeps. */
typedef struct gl_gsub {
  gl_match match;
  luaL_Buffer out;
  const char *copied; /* the subject before it is in `out` */
  const char *text, *text_end, *percent; /* the replacement when it is a string or a number, and its first % or NULL */
  bool changed;       /* a replacement was made, if only of a text by itself */
} gl_gsub;

/* Appends the subject up to `s`. */
static void copy_to(gl_gsub *g, const char *s) {
  if (s > g->copied) gl_pieces_add(g->match.L, &g->out, g->copied, (size_t)(s - g->copied));
  g->copied = s;
}

static void expand_reference(gl_gsub *g, char c, const char *s, const char *e) {
  const char *start = s;
  ptrdiff_t n = e - s;
  if (c == '%') {
    luaL_addchar(&g->out, '%');
    return;
  }
  if (c < '0' || c > '9') luaL_error(g->match.L, "invalid use of '%c' in replacement string", '%');
  if (c != '0') n = gl_match_get(&g->match, c - '1', s, e, &start);
  if (n == GL_CAPTURE_POSITION) luaL_addvalue(&g->out);
  else gl_pieces_add(g->match.L, &g->out, start, (size_t)n);
}

/* Appends the replacement string with its references: %0 to %9, %%. */
static void expand_string(gl_gsub *g, const char *s, const char *e) {
  const char *text = g->text, *percent = g->percent;
  while (percent) {
    if (percent > text) gl_pieces_add(g->match.L, &g->out, text, (size_t)(percent - text));
    expand_reference(g, percent[1], s, e);
    gl_match_spend(&g->match, 1);
    text = percent + 2;
    percent = text == g->text_end ? NULL : *text == '%' ? text : memchr(text, '%', (size_t)(g->text_end - text));
  }
  gl_pieces_add(g->match.L, &g->out, text, (size_t)(g->text_end - text));
}

/* Pushes what the function or the table gives for the match. */
static void push_replacement(gl_gsub *g, int type, const char *s, const char *e) {
  lua_State *L = g->match.L;
  if (type == LUA_TTABLE) {
    gl_match_push(&g->match, 0, s, e);
    lua_gettable(L, 3);
    return;
  }
  lua_pushvalue(L, 3);
  lua_call(L, gl_match_push_all(&g->match, s, e), 1);
}

/* Appends what comes before the match from s to e, and the replacement of the match; or leaves the match for copy_to. */
static void replace(gl_gsub *g, int type, const char *s, const char *e) {
  lua_State *L = g->match.L;
  copy_to(g, s);
  if (g->text) {
    expand_string(g, s, e);
  } else {
    push_replacement(g, type, s, e);
    if (!lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      return;
    }
    if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(&g->out);
  }
  g->copied = e;
  g->changed = true;
}

/* Replaces at most `limit` matches of the pattern at p. Returns their number. */
static lua_Integer replace_matches(gl_gsub *g, const char *p, bool anchored, int type, lua_Integer limit) {
  gl_match *m = &g->match;
  const char *s = m->subject, *last = NULL;
  lua_Integer n = 0;
  while (n < limit) {
    const char *end = anchored ? gl_match_at(m, s, p) : gl_match_find(m, &s, p);
    gl_match_spend(m, 1);
    if (!end) break;
    if (end == last) { /* an empty match where the last one ended is none */
      s++;
      continue;
    }
    n++;
    replace(g, type, s, end);
    s = last = end;
    if (anchored) break;
  }
  return n;
}

static void init_text(gl_gsub *g, lua_State *L, int type) {
  size_t n;
  g->text = NULL;
  if (type != LUA_TSTRING && type != LUA_TNUMBER) return;
  g->text = lua_tolstring(L, 3, &n);
  g->text_end = g->text + n;
  g->percent = memchr(g->text, '%', n);
}

int gl_string_gsub(lua_State *L) {
  gl_gsub g;
  size_t length, n;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &n);
  int type = lua_type(L, 3);
  lua_Integer limit = luaL_optinteger(L, 4, (lua_Integer)length + 1);
  bool anchored = *p == '^';
  luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                   "string/function/table");
  lua_settop(L, 3);
  lua_pushnil(L);
  gl_match_init(&g.match, L, s, length, p + n, 4);
  luaL_buffinit(L, &g.out);
  init_text(&g, L, type);
  g.copied = s;
  g.changed = false;
  lua_Integer count = replace_matches(&g, anchored ? p + 1 : p, anchored, type, limit);
  if (g.changed) {
    copy_to(&g, s + length);
    luaL_pushresult(&g.out);
  } else {
    lua_pushvalue(L, 1);
  }
  lua_pushinteger(L, count);
  return 2;
}
