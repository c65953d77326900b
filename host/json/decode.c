/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/preempt.h"
#include "json/json.h"
#include "json/number.h"
#include "json/text.h"

#define OP "json.decode"
#define SHALLOW 32      /* levels that need no memory of Lua's */
#define STEP 16384      /* bytes between two looks at whether a slice is used up */
#define PENDING 256     /* values on the Lua stack that wait until it is known how large their table must be; */
#define PENDING_DEEP 16 /* so many from SHALLOW levels on */
#define PART 512        /* bytes of a string with escapes that are copied at once */
#define ROOM 32         /* stack slots got at once */
#define NAMES 32        /* names of members that are remembered: rows have the same, and interning them is a third of the work */
#define NAMES_FROM 512  /* bytes a text has at least for that */

/* An array or object that is being read: its slot on the Lua stack, nil or the table, and above it what is not yet in that. */
typedef struct level {
  int slot;
  int pending;      /* values, and as many keys when it is an object */
  lua_Integer done; /* values in the table */
  lua_Integer last; /* how many the last object at this depth had: rows are alike, so this one will have as many */
  bool object;
} level;

/* A name that was read, as it stands in the text. */
typedef struct known_name {
  const char *at;
  size_t n;
} known_name;

typedef struct decoder {
  lua_State *L;
  const char *text, *end, *look; /* `look`: from here on, look whether a slice is used up */
  level *levels, *now;
  int depth, deepest;
  int slots; /* stack index for `levels` when they are more than SHALLOW; behind it the metatable of arrays, once needed */
  int room;  /* stack slots that may be pushed */
  gl_json_text unescaped;
  known_name *names; /* NULL = none is remembered */
  int strings; /* stack index of the first's string */
} decoder;

/* ---- errors ---- */

static void locate(const decoder *d, const char *at, int *line, int *column) {
  const char *begin = d->text;
  *line = *column = 1;
  for (const char *p = begin; p < at; p++)
    if (*p == '\n') {
      ++*line;
      begin = p + 1;
    }
  for (const char *p = begin; p < at; p++) *column += ((unsigned char)*p & 0xc0) != 0x80; /* characters */
}

static void set_integer(lua_State *L, const char *name, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

static void fail(decoder *d, const char *at, const char *fault) {
  lua_State *L = d->L;
  int line, column;
  luaL_checkstack(L, 12, OP);
  locate(d, at, &line, &column);
  gl_error_push(L, OP, "EJSON", "line %d, column %d: %s", line, column, fault);
  set_integer(L, "position", at - d->text + 1);
  set_integer(L, "line", line);
  set_integer(L, "column", column);
  lua_error(L);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Something else was expected than what is at `at`. */
static void fail_found(decoder *d, const char *at, const char *expected) {
  char found[32], fault[160];
  unsigned char c = (unsigned char)*at;
  int n = 0;
  while (n < 16 && at + n < d->end && is_letter(at[n])) n++;
  if (at == d->end) snprintf(found, sizeof found, "the end of the text");
  else if (n > 1) snprintf(found, sizeof found, "'%.*s'", n, at);
  else if (c > 0x20 && c < 0x7f) snprintf(found, sizeof found, "'%c'", c);
  else snprintf(found, sizeof found, "the byte 0x%02X", c);
  snprintf(fault, sizeof fault, "%s expected, found %s", expected, found);
  fail(d, at, fault);
}

static void check_mark(decoder *d) {
  if (d->end - d->text >= 3 && memcmp(d->text, "\xef\xbb\xbf", 3) == 0) fail(d, d->text, "the text begins with a byte order mark, which JSON does not have");
}

/* ---- the stack ---- */

static void need(decoder *d, int n) {
  if (d->room >= n) return;
  luaL_checkstack(d->L, ROOM, OP);
  d->room = ROOM;
}

static void pushed(decoder *d, int n) { d->room -= n; }

static void make_table(decoder *d, level *l) {
  if (l->done || (l->object && l->last)) return; /* exists */
  lua_createtable(d->L, l->object ? 0 : l->pending, l->object ? l->pending : 0);
  if (!l->object) {
    if (lua_isnil(d->L, d->slots + 1)) {
      gl_json_push_array(d->L);
      lua_replace(d->L, d->slots + 1);
    }
    lua_pushvalue(d->L, d->slots + 1);
    lua_setmetatable(d->L, -2);
  }
  lua_replace(d->L, l->slot);
}

/* Moves what is pending into the table, whose size is known by then, or by and by. */
static void settle(decoder *d, level *l) {
  lua_State *L = d->L;
  need(d, 3);
  make_table(d, l);
  l->done += l->pending;
  if (l->object) {
    for (int i = 0, key = l->slot + 1; i < l->pending; i++, key += 2) { /* in order: the last of the same name counts */
      lua_pushvalue(L, key);
      lua_pushvalue(L, key + 1);
      lua_rawset(L, l->slot);
    }
    lua_settop(L, l->slot);
    d->room += 2 * l->pending;
  } else {
    for (lua_Integer i = l->done; i > l->done - l->pending; i--) lua_rawseti(L, l->slot, i);
    d->room += l->pending;
  }
  l->pending = 0;
}

static void open_level(decoder *d, const char *at, bool object) {
  lua_State *L = d->L;
  if (d->depth == GL_JSON_DEPTH) fail(d, at, "more than 1000 arrays and objects within each other");
  need(d, 3);
  if (d->depth == SHALLOW) {
    level *many = lua_newuserdatauv(L, GL_JSON_DEPTH * sizeof *many, 0);
    memcpy(many, d->levels, SHALLOW * sizeof *many);
    lua_replace(L, d->slots);
    d->levels = many;
  }
  pushed(d, 1);
  level *l = d->now = &d->levels[d->depth++];
  lua_Integer last = d->depth > d->deepest ? 0 : l->last;
  if (d->depth > d->deepest) d->deepest = d->depth;
  if (object && last) lua_createtable(L, 0, (int)last);
  else lua_pushnil(L);
  *l = (level){.slot = lua_gettop(L), .last = last, .object = object};
}

/* Puts the name and the value at the top of the stack into the table. */
static void set_member(decoder *d, level *l) {
  lua_rawset(d->L, l->slot);
  l->done++;
  d->room += 2;
}

/* Its table is at the top of the stack then, a value of the level around it. */
static void close_level(decoder *d) {
  level *l = d->now;
  if (l->pending || !l->done) settle(d, l);
  if (l->object) l->last = l->done < INT_MAX / 2 ? l->done : 0;
  d->now = --d->depth ? &d->levels[d->depth - 1] : NULL;
}

/* ---- strings ---- */

static int hex4(const char *p) {
  int n = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i], low = (char)(c | 0x20);
    int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
    if (digit < 0) return -1; /* the NUL at the end is none either */
    n = n << 4 | digit;
  }
  return n;
}

/* p: the u of an escape. */
static const char *read_unicode(decoder *d, const char *p) {
  int code = hex4(p + 1);
  if (code < 0) fail(d, p - 1, "four hexadecimal digits must follow \\u");
  const char *next = p + 5;
  if (code >= 0xd800 && code < 0xe000) {
    int low = code < 0xdc00 && next[0] == '\\' && next[1] == 'u' ? hex4(next + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff) fail(d, p - 1, "half of a surrogate pair is no character");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    next += 6;
  }
  d->unescaped.at = gl_text_put_utf8(d->unescaped.at, (uint32_t)code);
  return next;
}

/* p: behind the backslash. Writes what it means, for which there is room; returns what comes next. */
static const char *read_escape(decoder *d, const char *p) {
  char c;
  switch (*p) {
    case '"': case '\\': case '/': c = *p; break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u': return read_unicode(d, p);
    default: fail(d, p - 1, "a backslash in a string must begin one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u"); return p;
  }
  *d->unescaped.at++ = c;
  return p + 1;
}

static void look(decoder *d, const char *at) {
  gl_preempt_check(d->L);
  d->look = at + STEP;
}

/* What is wrong with the string at `p`, a byte that cannot be in one. */
static void fail_string(decoder *d, const char *p) {
  if ((unsigned char)*p >= 0x80) fail(d, p, "a string that is not UTF-8");
  if (p == d->end) fail(d, p, "a string is not closed");
  fail(d, p, "a control character in a string must be written as an escape");
}

/* As gl_text_skip_valid to the end of the text, but makes way for other tasks. */
static const char *skip_valid(decoder *d, const char *p) {
  for (;;) {
    const char *pause = d->look > p && d->look < d->end ? d->look : d->end;
    p = gl_text_skip_valid(p, d->end, pause);
    if (p < pause || p == d->end) return p;
    look(d, p);
  }
}

/* The same, and copies to the unescaped text. */
static const char *copy_valid(decoder *d, const char *p) {
  gl_json_text *t = &d->unescaped;
  for (;;) {
    const char *pause = d->end - p > PART ? p + PART : d->end;
    gl_text_reserve(d->L, t, (size_t)(pause - p) + GL_TEXT_SLACK);
    p = gl_text_copy_valid(&t->at, p, d->end, pause);
    if (p >= d->look) look(d, p);
    if (p < pause || p == d->end) return p;
  }
}

/* The rest of a string with escapes, after what is plain from `p` to `odd`; returns what is behind the quote. */
static const char *read_escaped(decoder *d, const char *p, const char *odd) {
  gl_json_text *t = &d->unescaped;
  t->at = t->start;
  gl_text_add(d->L, t, p, (size_t)(odd - p));
  for (p = odd; *p != '"'; p = copy_valid(d, p)) {
    if (*p != '\\') fail_string(d, p);
    gl_text_reserve(d->L, t, 4);
    p = read_escape(d, p + 1);
  }
  lua_pushlstring(d->L, t->start, (size_t)(t->at - t->start));
  return p + 1;
}

/* p: behind the quote. Pushes the string; returns what is behind it. */
static const char *read_string(decoder *d, const char *p) {
  const char *odd = gl_text_skip_plain(p, d->end);
  if (*odd != '"') odd = skip_valid(d, odd);
  if (*odd != '"') return read_escaped(d, p, odd);
  lua_pushlstring(d->L, p, (size_t)(odd - p));
  return odd + 1;
}

/* The string of a name without escapes. */
static void push_name(decoder *d, const char *at, size_t n) {
  unsigned where = n ? ((unsigned)(unsigned char)at[0] * 7 + (unsigned)(unsigned char)at[n - 1] * 3 + (unsigned)n) % NAMES : 0;
  known_name *known = &d->names[where];
  if (known->at && known->n == n && memcmp(known->at, at, n) == 0) {
    lua_pushvalue(d->L, d->strings + (int)where);
    return;
  }
  lua_pushlstring(d->L, at, n);
  lua_copy(d->L, -1, d->strings + (int)where);
  *known = (known_name){at, n};
}

/* p: behind the quote. */
static const char *read_name_string(decoder *d, const char *p) {
  const char *end = d->names ? gl_text_skip_plain(p, d->end) : p;
  if (!d->names || *end != '"') return read_string(d, p);
  push_name(d, p, (size_t)(end - p));
  return end + 1;
}

/* ---- values ---- */

static const char *skip_space(const char *p) {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') p++;
  return p;
}

static const char *read_number(decoder *d, const char *p) {
  gl_number n;
  gl_number_read(p, &n);
  switch (n.kind) {
    case GL_NUMBER_INTEGER: lua_pushinteger(d->L, n.integer); break;
    case GL_NUMBER_FLOAT: lua_pushnumber(d->L, n.real); break;
    case GL_NUMBER_TOO_LARGE: fail(d, p, "a number is too large"); break;
    case GL_NUMBER_WRONG: fail(d, n.end, n.fault); break;
  }
  return n.end;
}

static bool is_literal(const char *p, const char *literal, size_t n) { return strncmp(p, literal, n) == 0; }

static const char *read_scalar(decoder *d, const char *p) {
  need(d, 2);
  pushed(d, 1);
  switch (*p) {
    case '"': return read_string(d, p + 1);
    case 't':
      if (!is_literal(p, "true", 4)) break;
      lua_pushboolean(d->L, 1);
      return p + 4;
    case 'f':
      if (!is_literal(p, "false", 5)) break;
      lua_pushboolean(d->L, 0);
      return p + 5;
    case 'n':
      if (!is_literal(p, "null", 4)) break;
      lua_pushlightuserdata(d->L, NULL);
      return p + 4;
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': return read_number(d, p);
    default: break;
  }
  fail_found(d, p, "a value");
  return p;
}

/* p: where the name of a member is to begin; returns where its value does. */
static const char *read_name(decoder *d, const char *p) {
  if (*p != '"') fail_found(d, p, "a name in double quotes");
  need(d, 2);
  pushed(d, 1);
  p = skip_space(read_name_string(d, p + 1));
  if (*p != ':') fail_found(d, p, "':'");
  return skip_space(p + 1);
}

/* Begins an array or object; returns where its first value begins, or, when it is empty and done with, NULL and *next. */
static const char *begin_level(decoder *d, const char *p, const char **next) {
  bool object = *p == '{';
  open_level(d, p, object);
  p = skip_space(p + 1);
  if (*p == (object ? '}' : ']')) {
    close_level(d);
    *next = p + 1;
    return NULL;
  }
  return object ? read_name(d, p) : p;
}

/* A value is on the stack; returns where the next one begins, or NULL and where the whole ended. */
static const char *go_on(decoder *d, const char *p, const char **end) {
  for (; d->now; p++) {
    level *l = d->now;
    if (l->object && l->last) set_member(d, l);
    else if (++l->pending >= PENDING || (l->pending >= PENDING_DEEP && d->depth >= SHALLOW)) settle(d, l);
    p = skip_space(p);
    if (p >= d->look) look(d, p);
    if (*p == ',') {
      p = skip_space(p + 1);
      return l->object ? read_name(d, p) : p;
    }
    if (*p != (l->object ? '}' : ']')) fail_found(d, p, l->object ? "',' or '}'" : "',' or ']'");
    close_level(d);
  }
  *end = p;
  return NULL;
}

static const char *decode(decoder *d, const char *p) {
  const char *next;
  for (;;) {
    const char *value = NULL;
    if (*p == '{' || *p == '[') {
      value = begin_level(d, p, &next);
    } else {
      next = read_scalar(d, p);
    }
    if (!value) value = go_on(d, next, &next);
    if (!value) return next;
    p = value;
  }
}

void gl_json_decode(lua_State *L, const char *text, size_t n) {
  level shallow[SHALLOW];
  known_name names[NAMES];
  bool long_enough = n >= NAMES_FROM;
  luaL_checkstack(L, ROOM + NAMES, OP);
  int top = lua_gettop(L);
  decoder d = {.L = L, .text = text, .end = text + n, .look = text + STEP, .levels = shallow, .slots = top + 2, .room = ROOM - 8};
  if (long_enough) memset(names, 0, sizeof names);
  d.names = long_enough ? names : NULL;
  d.strings = top + 4;
  lua_settop(L, top + 3 + (long_enough ? NAMES : 0)); /* for the unescaped, the levels, the metatable; the names */
  gl_text_begin(&d.unescaped, top + 1);
  check_mark(&d);
  const char *p = skip_space(decode(&d, skip_space(text)));
  if (p != d.end) fail_found(&d, p, "nothing more");
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}
