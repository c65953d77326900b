/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdint.h>

#include <lauxlib.h>

#include "json/decoder.h"
#include "json/number.h"
#include "json/text.h"

#define SHALLOW 32      /* levels for which the C stack has room; more need memory of Lua's */
#define PENDING 256     /* values of a table, at most, that wait on the Lua stack until the size of the table is known */
#define PENDING_DEEP 16 /* the same from SHALLOW levels on, so that the Lua stack stays small */
#define ROOM 32         /* stack slots for which luaL_checkstack is asked at once */
#define NAMES_FROM 512  /* bytes of a text, at least, for names to be kept */

static void check_mark(gl_decoder *d) {
  if (d->end - d->text >= 3 && memcmp(d->text, "\xef\xbb\xbf", 3) == 0) gl_decoder_fail(d, d->text, "the text begins with a byte order mark, which JSON does not have");
}

/* ---- the stack ---- */

static void need(gl_decoder *d, int n) {
  if (d->room >= n) return;
  luaL_checkstack(d->L, ROOM, GL_DECODER_OP);
  d->room = ROOM;
}

static void pushed(gl_decoder *d, int n) { d->room -= n; }

static void make_table(gl_decoder *d, gl_decoder_level *l) {
  if (l->done || (l->object && l->last)) return; /* the table exists */
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

/* Moves the pending values into the table, which the first call makes: large enough for all, or for the first PENDING of them. */
static void settle(gl_decoder *d, gl_decoder_level *l) {
  lua_State *L = d->L;
  need(d, 3);
  make_table(d, l);
  l->done += l->pending;
  if (l->object) {
    for (int i = 0, key = l->slot + 1; i < l->pending; i++, key += 2) { /* in the order of the text: the last member of a name counts */
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

static void open_level(gl_decoder *d, const char *at, bool object) {
  lua_State *L = d->L;
  if (d->depth == GL_JSON_DEPTH) gl_decoder_fail(d, at, "more than 1000 arrays and objects within each other");
  need(d, 3);
  if (d->depth == SHALLOW) {
    gl_decoder_level *many = lua_newuserdatauv(L, GL_JSON_DEPTH * sizeof *many, 0);
    memcpy(many, d->levels, SHALLOW * sizeof *many);
    lua_replace(L, d->slots);
    d->levels = many;
  }
  pushed(d, 1);
  gl_decoder_level *l = d->now = &d->levels[d->depth++];
  lua_Integer last = d->depth > d->deepest ? 0 : l->last;
  if (d->depth > d->deepest) d->deepest = d->depth;
  if (object && last) lua_createtable(L, 0, (int)last);
  else lua_pushnil(L);
  *l = (gl_decoder_level){.slot = lua_gettop(L), .last = last, .object = object};
}

/* Moves the name and the value at the top of the stack into the table. */
static void set_member(gl_decoder *d, gl_decoder_level *l) {
  lua_rawset(d->L, l->slot);
  l->done++;
  d->room += 2;
}

/* Ends the innermost level. Its table stays at the top of the stack, as a value of the level around. */
static void close_level(gl_decoder *d) {
  gl_decoder_level *l = d->now;
  if (l->pending || !l->done) settle(d, l);
  if (l->object) l->last = l->done < INT_MAX / 2 ? l->done : 0;
  d->now = --d->depth ? &d->levels[d->depth - 1] : NULL;
}

/* ---- values ---- */

static const char *skip_space(const char *p) {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') p++;
  return p;
}

static const char *read_number(gl_decoder *d, const char *p) {
  gl_number n;
  gl_number_read(p, &n);
  switch (n.kind) {
    case GL_NUMBER_INTEGER: lua_pushinteger(d->L, n.integer); break;
    case GL_NUMBER_FLOAT: lua_pushnumber(d->L, n.real); break;
    case GL_NUMBER_TOO_LARGE: gl_decoder_fail(d, p, "a number is too large"); break;
    case GL_NUMBER_WRONG: gl_decoder_fail(d, n.end, n.fault); break;
  }
  return n.end;
}

static bool is_literal(const char *p, const char *literal, size_t n) { return strncmp(p, literal, n) == 0; }

static const char *read_scalar(gl_decoder *d, const char *p) {
  need(d, 2);
  pushed(d, 1);
  switch (*p) {
    case '"': return gl_decoder_string(d, p + 1);
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
  gl_decoder_fail_found(d, p, "a value");
  return p;
}

/* Pushes the name of the member that must begin at `p`; returns the place where the member's value begins. */
static const char *read_name(gl_decoder *d, const char *p) {
  if (*p != '"') gl_decoder_fail_found(d, p, "a name in double quotes");
  need(d, 2);
  pushed(d, 1);
  p = skip_space(gl_decoder_name(d, p + 1));
  if (*p != ':') gl_decoder_fail_found(d, p, "':'");
  return skip_space(p + 1);
}

/* Begins the array or object at `p`; returns the place where its first value begins. NULL: it is empty and complete, and *next is the
 * place behind it. */
static const char *begin_level(gl_decoder *d, const char *p, const char **next) {
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

/* Goes on behind a value, which is at the top of the stack; returns the place where the next value begins. NULL: the outermost value is
 * complete, and *end is the place behind it. */
static const char *go_on(gl_decoder *d, const char *p, const char **end) {
  for (; d->now; p++) {
    gl_decoder_level *l = d->now;
    if (l->object && l->last) set_member(d, l);
    else if (++l->pending >= PENDING || (l->pending >= PENDING_DEEP && d->depth >= SHALLOW)) settle(d, l);
    p = skip_space(p);
    if (p >= d->look) gl_decoder_look(d, p);
    if (*p == ',') {
      p = skip_space(p + 1);
      return l->object ? read_name(d, p) : p;
    }
    if (*p != (l->object ? '}' : ']')) gl_decoder_fail_found(d, p, l->object ? "',' or '}'" : "',' or ']'");
    close_level(d);
  }
  *end = p;
  return NULL;
}

static const char *decode(gl_decoder *d, const char *p) {
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
  gl_decoder_level shallow[SHALLOW];
  gl_decoder_known names[GL_DECODER_NAMES];
  bool long_enough = n >= NAMES_FROM;
  luaL_checkstack(L, ROOM + GL_DECODER_NAMES, GL_DECODER_OP);
  int top = lua_gettop(L);
  gl_decoder d = {.L = L, .text = text, .end = text + n, .look = text + GL_DECODER_STEP, .levels = shallow, .slots = top + 2, .room = ROOM - 8};
  if (long_enough) memset(names, 0, sizeof names);
  d.names = long_enough ? names : NULL;
  d.strings = top + 4;
  lua_settop(L, top + 3 + (long_enough ? GL_DECODER_NAMES : 0)); /* see gl_decoder */
  gl_text_begin(&d.unescaped, top + 1);
  check_mark(&d);
  const char *p = skip_space(decode(&d, skip_space(text)));
  if (p != d.end) gl_decoder_fail_found(&d, p, "nothing more");
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}
