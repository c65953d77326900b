/* SPDX-License-Identifier: MIT */
#include "io/format.h"

#include <ctype.h>
#include <locale.h>
#include <string.h>

#include <lauxlib.h>

/* ---- arguments ---- */

size_t gl_formats_size(int n) {
  return sizeof(gl_formats) + (size_t)(n > 0 ? n : 1) * sizeof(gl_format);
}

static uint8_t kind_of(const char *name) {
  if (*name == '*') name++; /* as in Lua 5.1 to 5.3 */
  switch (*name) {
    case 'n': return GL_READ_NUMBER;
    case 'l': return GL_READ_LINE;
    case 'L': return GL_READ_WHOLE_LINE;
    case 'a': return GL_READ_ALL;
    default: return GL_READ_BAD;
  }
}

static void parse_item(lua_State *L, int idx, gl_format *f) {
  *f = (gl_format){.kind = GL_READ_BAD};
  if (lua_type(L, idx) == LUA_TNUMBER) {
    int exact;
    lua_Integer n = lua_tointegerx(L, idx, &exact);
    if (!exact || n < 0) return;
    f->kind = GL_READ_COUNT;
    f->n = (size_t)n;
  } else if (lua_type(L, idx) == LUA_TSTRING) {
    f->kind = kind_of(lua_tostring(L, idx));
  }
}

void gl_formats_parse(lua_State *L, int first, int n, gl_formats *r) {
  *r = (gl_formats){.first = n > 0 ? first : 0, .n = n > 0 ? n : 1};
  if (n <= 0) r->item[0] = (gl_format){.kind = GL_READ_LINE};
  for (int i = 0; i < n; i++) parse_item(L, first + i, &r->item[i]);
}

/* ---- numbers: the longest prefix that could be one, as stock reads it ---- */

typedef struct numeral {
  const char *at, *end;
  bool short_of; /* looked past the end */
  bool too_long;
  int n;         /* characters so far */
} numeral;

static int peek(numeral *s) {
  if (s->at < s->end) return (unsigned char)*s->at;
  s->short_of = true;
  return -1;
}

static bool take(numeral *s) {
  if (s->n >= GL_NUMERAL_MAX) {
    s->too_long = true;
    return false;
  }
  s->n++;
  s->at++;
  return true;
}

static bool take_one_of(numeral *s, int a, int b) {
  int c = peek(s);
  return (c == a || c == b) && take(s);
}

static int take_digits(numeral *s, bool hex) {
  int count = 0;
  for (int c = peek(s); c >= 0 && (hex ? isxdigit(c) : isdigit(c)) && take(s); c = peek(s)) count++;
  return count;
}

/* Is it a number as lua_stringtonumber sees it? */
static bool take_number(numeral *s) {
  int count = 0, point = lua_getlocaledecpoint();
  bool hex = false;
  take_one_of(s, '-', '+');
  if (take_one_of(s, '0', '0')) {
    if (take_one_of(s, 'x', 'X')) hex = true;
    else count = 1;
  }
  count += take_digits(s, hex);
  if (take_one_of(s, point, '.')) count += take_digits(s, hex);
  bool ok = count > 0;
  if (ok && take_one_of(s, hex ? 'p' : 'e', hex ? 'P' : 'E')) {
    take_one_of(s, '-', '+');
    ok = take_digits(s, false) > 0;
  }
  return ok && !s->too_long;
}

static bool scan_number(gl_formats *r, gl_format *f, const char *bytes, size_t len, bool eof) {
  const char *at = bytes + r->pos, *end = bytes + len;
  while (at < end && isspace((unsigned char)*at)) at++;
  numeral s = {.at = at, .end = end};
  bool ok = take_number(&s);
  if (s.short_of && !eof) return false;
  *f = (gl_format){.kind = f->kind, .ok = ok, .at = (size_t)(at - bytes), .len = (size_t)s.n};
  return true;
}

/* ---- the others ---- */

static bool scan_line(gl_formats *r, gl_format *f, const char *bytes, size_t len, bool eof) {
  size_t from = r->pos + r->seen, end = len;
  const char *newline = from < len ? memchr(bytes + from, '\n', len - from) : NULL;
  if (!newline && !eof) {
    r->seen = len - r->pos;
    return false;
  }
  if (newline) end = (size_t)(newline - bytes) + 1;
  f->at = r->pos;
  f->len = end - r->pos;
  f->ok = f->len > 0;
  return true;
}

static bool scan_count(gl_formats *r, gl_format *f, size_t len, bool eof) {
  size_t have = len - r->pos;
  if (have < (f->n ? f->n : 1) && !eof) return false;
  f->at = r->pos;
  f->len = have < f->n ? have : f->n;
  f->ok = have > 0;
  return true;
}

static bool scan_all(gl_formats *r, gl_format *f, size_t len, bool eof) {
  if (!eof) return false;
  f->at = r->pos;
  f->len = len - r->pos;
  f->ok = true;
  return true;
}

static bool scan_item(gl_formats *r, gl_format *f, const char *bytes, size_t len, bool eof) {
  switch ((gl_format_kind)f->kind) {
    case GL_READ_NUMBER: return scan_number(r, f, bytes, len, eof);
    case GL_READ_LINE:
    case GL_READ_WHOLE_LINE: return scan_line(r, f, bytes, len, eof);
    case GL_READ_ALL: return scan_all(r, f, len, eof);
    case GL_READ_COUNT: return scan_count(r, f, len, eof);
    case GL_READ_BAD: break;
  }
  return true;
}

bool gl_formats_scan(gl_formats *r, const char *bytes, size_t len, bool eof) {
  while (r->done < r->n) {
    gl_format *f = &r->item[r->done];
    if (!scan_item(r, f, bytes, len, eof)) return false;
    r->done++;
    r->seen = 0;
    if (f->kind == GL_READ_BAD) return true;
    r->pos = f->at + f->len;
    if (!f->ok) return true;
  }
  return true;
}

size_t gl_formats_want(const gl_formats *r, size_t len) {
  const gl_format *f = &r->item[r->done];
  if (f->kind == GL_READ_ALL) return SIZE_MAX;
  if (f->kind == GL_READ_COUNT && f->n > len - r->pos) return f->n - (len - r->pos);
  return 1;
}

/* ---- values ---- */

/* The argument's own complaint, in the words of the stock library. */
static int raise_bad(lua_State *L, int idx) {
  if (lua_type(L, idx) == LUA_TNUMBER) {
    luaL_checkinteger(L, idx);
    return luaL_error(L, "not enough memory"); /* a negative count is a huge one */
  }
  luaL_checkstring(L, idx);
  return luaL_argerror(L, idx, "invalid format");
}

static void push_item(lua_State *L, const gl_format *f, const char *bytes) {
  char text[GL_NUMERAL_MAX + 1];
  size_t len = f->len;
  if (!f->ok) {
    lua_pushnil(L);
  } else if (f->kind == GL_READ_NUMBER) {
    memcpy(text, bytes + f->at, len);
    text[len] = '\0';
    if (!lua_stringtonumber(L, text)) lua_pushnil(L);
  } else {
    if (f->kind == GL_READ_LINE && len && bytes[f->at + len - 1] == '\n') len--;
    lua_pushlstring(L, len ? bytes + f->at : "", len);
  }
}

/* A wrong argument ends the scan: what comes after it is never looked at. */
static bool ends_badly(const gl_formats *r) { return r->done && r->item[r->done - 1].kind == GL_READ_BAD; }

int gl_formats_push(lua_State *L, const gl_formats *r, const char *bytes) {
  int n = r->done - ends_badly(r);
  luaL_checkstack(L, r->n + LUA_MINSTACK, "too many arguments");
  for (int i = 0; i < n; i++) push_item(L, &r->item[i], bytes);
  return n;
}

void gl_formats_refuse(lua_State *L, const gl_formats *r) {
  if (ends_badly(r)) raise_bad(L, r->first + r->done - 1);
}
