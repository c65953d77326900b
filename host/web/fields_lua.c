/* SPDX-License-Identifier: MIT */
#include "web/fields_lua.h"

#include <string.h>

#include <lauxlib.h>

#include "h1/fields.h"

#define MAX_RANGES 64

static gl_text check_text(lua_State *L, int idx) {
  size_t n;
  const char *text = luaL_checklstring(L, idx, &n);
  return gl_text_of(text, n);
}

static void push_text(lua_State *L, gl_text t) { lua_pushlstring(L, t.at, gl_text_len(t)); }

static void push_lower(lua_State *L, gl_text t) {
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, gl_text_len(t));
  for (const char *p = t.at; p < t.end; p++) *to++ = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
  luaL_pushresultsize(&b, gl_text_len(t));
}

/* ---- a word and its parameters ---- */

static void push_value(lua_State *L, const gl_parameter *p, gl_quoting quoting) {
  if (!p->quoted || !memchr(p->value.at, '\\', gl_text_len(p->value))) {
    push_text(L, p->value);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, gl_text_len(p->value));
  luaL_pushresultsize(&b, gl_unquote(p->value, quoting, out));
}

/* Pushes a table of the parameters. False: they are malformed or a name is there twice, and nothing was pushed. */
static bool push_parameters(lua_State *L, gl_text s, gl_quoting quoting) {
  gl_parameter p;
  int top = lua_gettop(L), more;
  lua_newtable(L);
  while ((more = gl_take_parameter(&s, quoting, &p)) == 1) {
    push_lower(L, p.name);
    lua_pushvalue(L, -1);
    more = lua_rawget(L, top + 1) == LUA_TNIL ? 1 : -1;
    if (more < 0) break;
    lua_pop(L, 1);
    push_value(L, &p, quoting);
    lua_rawset(L, top + 1);
  }
  lua_settop(L, top + (more == 0));
  return more == 0;
}

/* parameters(value [, form]) -> word, { name = value }: of "text/html; charset=utf-8", 'form-data; name="a"'. A result is nil if its
 * part is malformed. The word and the names are in lower case. `form`: the value is of a part of a form, where a backslash may be an
 * escape or stand for itself in the name of a file: it is an escape only if the whole can be read like that. */
static int parameters(lua_State *L) {
  gl_text s = check_text(L, 1), word, sub;
  bool form = lua_toboolean(L, 2);
  s = gl_text_trim(s);
  if (!gl_take_token(&s, &word)) return 0;
  if (s.at < s.end && *s.at == '/') {
    s.at++;
    if (!gl_take_token(&s, &sub)) return 0;
    word.end = sub.end;
  }
  push_lower(L, word);
  if (push_parameters(L, s, form ? GL_QUOTING_MARKS : GL_QUOTING_RFC)) return 2;
  return form && push_parameters(L, s, GL_QUOTING_NONE) ? 2 : 1;
}

/* lines(head) -> { name = value } of a head whose lines end in CRLF, names in lower case; nil: a line is malformed or a name is there
 * twice. */
static int lines(lua_State *L) {
  gl_text s = check_text(L, 1), name, value;
  int more;
  lua_newtable(L);
  while ((more = gl_take_line(&s, &name, &value)) == 1) {
    push_lower(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) return 0;
    lua_pop(L, 1);
    push_text(L, value);
    lua_rawset(L, -3);
  }
  return more == 0;
}

/* ---- preferences and conditions ---- */

/* quality(value, name) -> 0 to 1; nil: the field says nothing about the name. */
static int quality(lua_State *L) {
  int weight = gl_field_quality(check_text(L, 1), luaL_checkstring(L, 2));
  if (weight < 0) return 0;
  lua_pushnumber(L, weight / 1000.0);
  return 1;
}

/* has_tag(value, tag, strong) -> is the entity tag in the list? */
static int has_tag(lua_State *L) {
  lua_pushboolean(L, gl_field_has_tag(check_text(L, 1), check_text(L, 2), lua_toboolean(L, 3)));
  return 1;
}

/* ranges(value, size) -> { first, last, first, last, ... }, empty when the file has none of them; nil: the field is to be ignored. */
static int ranges(lua_State *L) {
  gl_range list[MAX_RANGES];
  int n = gl_field_ranges(check_text(L, 1), luaL_checkinteger(L, 2), list, MAX_RANGES);
  if (n < 0) return 0;
  lua_createtable(L, 2 * n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, list[i].first);
    lua_rawseti(L, -2, 2 * i + 1);
    lua_pushinteger(L, list[i].last);
    lua_rawseti(L, -2, 2 * i + 2);
  }
  return 1;
}

/* date(value) -> seconds since 1970, or nil. */
static int date(lua_State *L) {
  int64_t seconds;
  if (!gl_field_date(check_text(L, 1), &seconds)) return 0;
  lua_pushinteger(L, seconds);
  return 1;
}

/* ---- cookies and forms ---- */

/* cookies(value) -> { name = value }: of cookies of one name the first. */
static int cookies(lua_State *L) {
  gl_text s = check_text(L, 1), name, value;
  lua_newtable(L);
  while (gl_take_cookie(&s, &name, &value)) {
    push_text(L, name);
    lua_pushvalue(L, -1);
    bool seen = lua_rawget(L, -3) != LUA_TNIL;
    lua_pop(L, 1);
    if (seen) {
      lua_pop(L, 1);
    } else {
      push_text(L, value);
      lua_rawset(L, -3);
    }
  }
  return 1;
}

static bool push_decoded(lua_State *L, gl_text t) {
  size_t n = gl_text_len(t);
  if (!memchr(t.at, '%', n) && !memchr(t.at, '+', n)) {
    push_text(L, t);
    return true;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  long len = gl_form_decode(t, out);
  luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
  return len >= 0;
}

/* form(text, max) -> { { name, value }, ... }, decoded. nil: there are more than `max` pairs; nil, pair: that pair has an invalid
 * escape. */
static int form(lua_State *L) {
  gl_text s = check_text(L, 1), name, value;
  lua_Integer max = luaL_checkinteger(L, 2), n = 0;
  lua_newtable(L);
  while (gl_take_pair(&s, &name, &value)) {
    if (n == max) return 0;
    lua_createtable(L, 2, 0);
    if (!push_decoded(L, name) || (lua_rawseti(L, -2, 1), !push_decoded(L, value))) {
      lua_pushnil(L);
      push_text(L, (gl_text){name.at, value.end});
      return 2;
    }
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* may_trail(name) -> boolean: may a field of this name be a trailer? */
static int may_trail(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, gl_field_may_trail(name, n));
  return 1;
}

int luaopen_green_http_fields(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"parameters", parameters}, {"lines", lines}, {"quality", quality}, {"has_tag", has_tag}, {"ranges", ranges},
    {"date", date}, {"cookies", cookies}, {"form", form}, {"may_trail", may_trail}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
