/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdint.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/preempt.h"
#include "json/json.h"
#include "json/number.h"
#include "json/text.h"

#define OP "json.encode"
#define SHALLOW 32             /* levels for which the C stack has room; more need memory of Lua's */
#define STEP 16384             /* bytes of text between two checks whether the slice is used up */
#define WALK 4096              /* keys between two such checks while begin_sparse counts */
#define SMALL_LIST 10          /* a list with no key beyond this one may have any number of holes, which are written as null */
#define HOLES 2                /* a longer list may have a hole for every item that is there, that is at every second place */
#define PATH 200               /* bytes of the path in an error, at most */

typedef enum kind { LIST, SPARSE, OBJECT } kind;

/* A table that is being written. The table is on the Lua stack; above it is the key from which lua_next goes on (SPARSE: none). */
typedef struct level {
  kind kind;
  int table;      /* stack index of the table */
  uint32_t parks; /* encoder.parks when the table last had that key for certain */
  bool array;     /* the table has the metatable of json.array */
  size_t start;   /* length of the text before the table */
  lua_Integer i;  /* LIST, SPARSE: index of the item that is being written */
  lua_Integer n;  /* SPARSE: the highest index */
} level;

typedef struct encoder {
  lua_State *L;
  gl_json_text *text;
  level *levels, *now;
  int depth;
  int slots;      /* stack index for `levels` when they are more than SHALLOW */
  bool replace;
  uint32_t parks; /* how often the encoder has parked: other tasks may have changed the tables each time */
  size_t looked;  /* length of the text at the last check whether the slice is used up */
  const void *array_metatable; /* NULL = is_array was not called yet */
} encoder;

/* ---- errors ---- */

static bool is_name(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return n > 0;
}

static void add_index(luaL_Buffer *b, lua_Integer i) {
  char digits[GL_NUMBER_MAX];
  luaL_addchar(b, '[');
  luaL_addlstring(b, digits, (size_t)(gl_number_put_integer(digits, i) - digits));
  luaL_addchar(b, ']');
}

static void add_name(luaL_Buffer *b, const char *name, size_t n) {
  bool plain = is_name(name, n);
  luaL_addstring(b, plain ? "." : "[\"");
  for (size_t i = 0; i < n; i++) luaL_addchar(b, (unsigned char)name[i] < 0x20 || (unsigned char)name[i] >= 0x7f ? '?' : name[i]);
  luaL_addstring(b, plain ? "" : "\"]");
}

/* Pushes the place of what is being written, by the keys of the outermost `depth` levels: "$.rows[3].name". */
static void push_path(encoder *e, int depth) {
  luaL_Buffer b;
  luaL_buffinit(e->L, &b);
  luaL_addchar(&b, '$');
  for (level *l = e->levels; l < e->levels + depth && luaL_bufflen(&b) < PATH; l++) {
    size_t n;
    if (l->kind != OBJECT) {
      add_index(&b, l->i);
    } else {
      const char *name = lua_tolstring(e->L, l->table + 1, &n);
      add_name(&b, name, n < PATH ? n : PATH);
    }
  }
  if (luaL_bufflen(&b) >= PATH) luaL_addstring(&b, "...");
  luaL_pushresult(&b);
}

/* Raises EJSON for the value below the outermost `depth` levels. `format` has one %s for `arg`. Never returns. */
static void fail_at(encoder *e, int depth, const char *format, const char *arg) {
  lua_State *L = e->L;
  luaL_checkstack(L, 20, OP);
  push_path(e, depth);
  lua_pushfstring(L, format, arg);
  gl_error_push(L, OP, "EJSON", "%s: %s", lua_tostring(L, -2), lua_tostring(L, -1));
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "path");
  lua_error(L);
}

static void fail(encoder *e, const char *format, const char *arg) { fail_at(e, e->depth, format, arg); }

/* Raises that the innermost table, a list or an object, must not have the key at the top of the stack. Never returns. */
static void fail_key(encoder *e, bool list) {
  lua_State *L = e->L;
  int type = lua_type(L, -1);
  const char *key = type == LUA_TNUMBER ? luaL_tolstring(L, -1, NULL) : lua_tostring(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) fail_at(e, e->depth - 1, "a table with a %s as a key cannot be JSON", lua_typename(L, type));
  if (list) fail_at(e, e->depth - 1, "a list that also has the key '%s' cannot be JSON", key);
  fail_at(e, e->depth - 1, "a table with names and also the key %s cannot be JSON (a name is a string: tostring(key))", key);
}

/* ---- making way ---- */

static size_t length(const encoder *e) { return (size_t)(e->text->at - e->text->start); }

/* Makes way for other tasks if the slice is used up. Raises what gl_preempt_check raises. */
static void look(encoder *e) {
  e->looked = length(e);
  if (gl_preempt_check(e->L)) e->parks++;
}

/* Replaces the key at the top of the stack by the table's next key and value. False: there is none, and the stack is one lower. Raises
 * EJSON if another task has taken the key out of the table, since lua_next must not be called with such a key. */
static bool go_on(encoder *e, level *l) {
  lua_State *L = e->L;
  if (l->parks != e->parks) {
    l->parks = e->parks;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, l->table) == LUA_TNIL) {
      lua_pop(L, 1);
      fail_at(e, (int)(l - e->levels), "%s", "the table was changed by another task while it was encoded");
    }
    lua_pop(L, 1);
  }
  return lua_next(L, l->table);
}

/* ---- scalars ---- */

static char *put_escape(char *to, unsigned char c) {
  static const char hex[] = "0123456789abcdef", letters[] = "btn?fr"; /* 8 to 13 */
  *to++ = '\\';
  if (c == '"' || c == '\\') {
    *to++ = (char)c;
  } else if (c >= 8 && c <= 13 && c != 11) {
    *to++ = letters[c - 8];
  } else {
    memcpy(to, "u00", 3);
    to[3] = hex[c >> 4];
    to[4] = hex[c & 15];
    to += 5;
  }
  return to;
}

static void refuse_bytes(encoder *e, unsigned char c) {
  static const char hex[] = "0123456789ABCDEF";
  fail(e, "a string that is not UTF-8 (byte 0x%s) cannot be JSON", lua_pushfstring(e->L, "%c%c", hex[c >> 4], hex[c & 15]));
}

/* Writes a byte that gl_text_quote_valid has stopped at: a control character as an escape, an invalid one as U+FFFD. */
static void put_odd(encoder *e, unsigned char c) {
  gl_json_text *t = e->text;
  gl_text_reserve(e->L, t, 8);
  if (c < 0x80) {
    t->at = put_escape(t->at, c);
  } else {
    if (!e->replace) refuse_bytes(e, c);
    t->at = gl_text_put_utf8(t->at, 0xfffd);
  }
}

static void put_long_string(encoder *e, const char *p, const char *end) {
  while (p < end) {
    const char *pause = end - p > STEP ? p + STEP : end;
    gl_text_reserve(e->L, e->text, 2 * (size_t)(pause - p) + GL_TEXT_SLACK);
    p = gl_text_quote_valid(&e->text->at, p, end, pause);
    if (p < pause) put_odd(e, (unsigned char)*p++);
    if (length(e) - e->looked > STEP) look(e);
  }
}

/* Writes the string at idx, and leaves room for one byte more. */
static inline void put_string(encoder *e, int idx) {
  gl_json_text *t = e->text;
  size_t n;
  const char *p = lua_tolstring(e->L, idx, &n);
  gl_text_reserve(e->L, t, n + 3);
  *t->at++ = '"';
  if (n <= GL_TEXT_SHORT && gl_text_copy_plain(t->at, p, n)) {
    t->at += n;
  } else {
    put_long_string(e, p, p + n);
    gl_text_reserve(e->L, t, 2);
  }
  *t->at++ = '"';
}

static void put_literal(encoder *e, const char *text, size_t n) { gl_text_add(e->L, e->text, text, n); }
#define PUT(e, literal) put_literal((e), "" literal, sizeof(literal) - 1)

static void put_number(encoder *e) {
  gl_json_text *t = e->text;
  gl_text_reserve(e->L, t, GL_NUMBER_MAX);
  if (lua_isinteger(e->L, -1)) {
    t->at = gl_number_put_integer(t->at, lua_tointeger(e->L, -1));
    return;
  }
  double real = lua_tonumber(e->L, -1);
  if (!isfinite(real)) fail(e, "%s cannot be JSON", isnan(real) ? "NaN" : "an infinite number");
  t->at = gl_number_put_float(t->at, real);
}

static void put_scalar(encoder *e, int type) {
  switch (type) {
    case LUA_TSTRING: put_string(e, -1); return;
    case LUA_TNUMBER: put_number(e); return;
    case LUA_TBOOLEAN:
      if (lua_toboolean(e->L, -1)) PUT(e, "true");
      else PUT(e, "false");
      return;
    case LUA_TNIL: PUT(e, "null"); return;
    default:
      if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(e->L, -1)) PUT(e, "null");
      else fail(e, "a value of the type %s cannot be JSON", lua_typename(e->L, type));
  }
}

/* ---- tables ---- */

static void put_byte(encoder *e, char c) {
  gl_text_reserve(e->L, e->text, 1);
  *e->text->at++ = c;
}

static bool is_array(encoder *e) { /* table -> table */
  lua_State *L = e->L;
  if (!lua_getmetatable(L, -1)) return false;
  const void *metatable = lua_topointer(L, -1);
  if (!e->array_metatable) {
    gl_json_push_array(L);
    e->array_metatable = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return metatable == e->array_metatable || gl_json_says_array(L, -1);
}

static level *push_level(encoder *e) {
  lua_State *L = e->L;
  if (e->depth == GL_JSON_DEPTH) fail(e, "%s", "more than 1000 levels, or a table that contains itself, cannot be JSON");
  if (!lua_checkstack(L, 12)) fail(e, "%s", "stack overflow");
  if (e->depth == SHALLOW) {
    level *many = lua_newuserdatauv(L, GL_JSON_DEPTH * sizeof *many, 0);
    memcpy(many, e->levels, SHALLOW * sizeof *many);
    lua_replace(L, e->slots);
    e->levels = many;
  }
  e->now = &e->levels[e->depth++];
  *e->now = (level){.table = lua_gettop(L), .parks = e->parks, .start = length(e)};
  return e->now;
}

/* Writes the key below the value at the top of the stack, and leaves both. Raises EJSON if the key is no string. */
static void put_key(encoder *e) {
  lua_State *L = e->L;
  if (lua_type(L, -2) != LUA_TSTRING) {
    lua_pop(L, 1);
    fail_key(e, false);
  }
  put_string(e, -2);
  *e->text->at++ = ':';
}

/* Begins the innermost table anew, as a list by its highest key: lua_next does not give its keys in order, because there are holes, or
 * items that Lua has not moved to the array part of the table. Raises EJSON for other keys, and for too many holes. */
static bool begin_sparse(encoder *e, level *l) {
  lua_State *L = e->L;
  lua_Integer most = 0, count = 0;
  lua_settop(L, l->table);
  for (lua_pushnil(L); go_on(e, l); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    if (lua_type(L, -1) != LUA_TNUMBER) fail_key(e, true);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1) fail_at(e, e->depth - 1, "a table with the key %s cannot be JSON (a name is a string: tostring(key))", luaL_tolstring(L, -1, NULL));
    if (lua_tointeger(L, -1) > most) most = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (++count % WALK == 0) look(e);
  }
  if (most > SMALL_LIST && most / HOLES > count) fail_at(e, e->depth - 1, "a list with the key %s and hardly an item below it cannot be JSON (keys of an object are strings)", lua_pushfstring(L, "%I", (LUAI_UACINT)most));
  e->text->at = e->text->start + l->start;
  e->looked = l->start;
  l->kind = SPARSE;
  l->i = 0;
  l->n = most;
  put_byte(e, '[');
  return true;
}

/* Pushes the next item of the innermost table, and writes the comma and the name before it. False: there is no further item. */
static bool step(encoder *e) {
  lua_State *L = e->L;
  level *l = e->now;
  if (l->kind == LIST) {
    if (!go_on(e, l)) return false;
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == l->i + 1) {
      if (l->i++) put_byte(e, ',');
      return true;
    }
    begin_sparse(e, l);
  }
  if (l->kind == OBJECT) {
    if (!go_on(e, l)) return false;
    put_byte(e, ',');
    put_key(e);
    return true;
  }
  if (l->i == l->n) return false;
  if (l->i++) put_byte(e, ',');
  lua_rawgeti(L, l->table, l->i);
  return true;
}

/* Begins the table at the top of the stack and pushes its first item. False: the table is empty; it is written and popped. */
static bool open_table(encoder *e) {
  lua_State *L = e->L;
  level *l = push_level(e);
  l->array = is_array(e);
  lua_pushnil(L);
  if (!lua_next(L, l->table)) {
    if (l->array) PUT(e, "[]");
    else PUT(e, "{}");
    lua_pop(L, 1);
    e->now = --e->depth ? &e->levels[e->depth - 1] : NULL;
    return false;
  }
  if (lua_type(L, -2) == LUA_TSTRING && !l->array) {
    l->kind = OBJECT;
    put_byte(e, '{');
    put_key(e);
    return true;
  }
  put_byte(e, '[');
  if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1) {
    l->i = 1;
    return true;
  }
  begin_sparse(e, l);
  return step(e);
}

/* Ends the innermost table and pops it. False: the table was the outermost one. */
static bool close_table(encoder *e) {
  put_byte(e, e->now->kind == OBJECT ? '}' : ']');
  lua_settop(e->L, e->now->table - 1);
  e->now = --e->depth ? &e->levels[e->depth - 1] : NULL;
  return e->depth > 0;
}

static void encode(encoder *e) {
  for (;;) {
    int type = lua_type(e->L, -1);
    if (type == LUA_TTABLE) {
      if (open_table(e)) continue;
    } else {
      put_scalar(e, type);
      lua_pop(e->L, 1);
    }
    if (!e->depth) return;
    if (length(e) - e->looked > STEP) look(e);
    while (!step(e))
      if (!close_table(e)) return;
  }
}

void gl_json_encode(lua_State *L, gl_json_text *text, bool replace) {
  level shallow[SHALLOW];
  luaL_checkstack(L, 16, OP);
  int top = lua_gettop(L);
  lua_settop(L, top + 2); /* slots for the memory of the text and of the levels */
  lua_pushvalue(L, top);
  encoder e = {.L = L, .text = text, .levels = shallow, .slots = top + 2, .replace = replace};
  gl_text_begin(text, top + 1);
  encode(&e);
  lua_settop(L, top + 1);
}
