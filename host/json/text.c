/* SPDX-License-Identifier: MIT */
#include "json/text.h"

#include <lauxlib.h>

#define SPARE ((size_t)1024 * 1024) /* bytes, at most, that are kept for the next text */

static const char spare; /* registry key: memory for a text, which nobody uses */

static bool is_tail(const char *p, int from, int to) {
  unsigned char c = (unsigned char)*p;
  return c >= from && c <= to;
}

/* The table of well-formed sequences, Unicode 15, 3.9: no overlong ones, no surrogates, nothing above U+10FFFF. */
int gl_text_utf8(const char *p, const char *end) {
  unsigned char c = (unsigned char)*p;
  int n = c < 0xc2 || c > 0xf4 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  if (!n || end - p < n) return 0;
  int from = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, to = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (!is_tail(p + 1, from, to)) return 0;
  for (int i = 2; i < n; i++)
    if (!is_tail(p + i, 0x80, 0xbf)) return 0;
  return n;
}

const char *gl_text_skip_valid(const char *p, const char *end, const char *pause) {
  for (;;) {
    p = gl_text_skip_plain(p, end);
    if (p == end || !((unsigned char)*p & 0x80) || p >= pause) return p;
    unsigned char c = (unsigned char)*p;
    bool two = c >= 0xc2 && c < 0xe0 && end - p > 1 && ((unsigned char)p[1] & 0xc0) == 0x80; /* Greek, Cyrillic, umlauts */
    int n = two ? 2 : gl_text_utf8(p, end);
    if (!n) return p;
    p += n;
  }
}

char *gl_text_put_utf8(char *to, uint32_t code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code < 0x800) {
    *to++ = (char)(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *to++ = (char)(0xe0 | code >> 12);
    } else {
      *to++ = (char)(0xf0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 0x3f));
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3f));
  }
  *to++ = (char)(0x80 | (code & 0x3f));
  return to;
}

void gl_text_begin(gl_json_text *t, int slot) {
  t->start = t->at = t->first;
  t->end = t->first + sizeof t->first;
  t->slot = slot;
}

static void use(gl_json_text *t, char *memory, size_t cap) {
  size_t used = (size_t)(t->at - t->start);
  memcpy(memory, t->start, used);
  t->start = memory;
  t->at = memory + used;
  t->end = memory + cap;
}

/* Long texts mostly fit where the last one was. What it is taken for is nobody else's meanwhile: they leave `false` there, so
 * that gl_json_done needs no memory. */
static bool use_spare(lua_State *L, gl_json_text *t, size_t n) {
  size_t cap = lua_rawgetp(L, LUA_REGISTRYINDEX, &spare) == LUA_TUSERDATA ? lua_rawlen(L, -1) : 0;
  lua_replace(L, t->slot);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
  if (cap >= n) use(t, lua_touserdata(L, t->slot), cap);
  return cap >= n;
}

/* Memory of Lua's, since it is counted as a script's, and raises as any does. */
void gl_text_grow(lua_State *L, gl_json_text *t, size_t n) {
  size_t used = (size_t)(t->at - t->start), cap = (size_t)(t->end - t->start) * 2;
  if (t->start == t->first && use_spare(L, t, used + n)) return;
  while (cap - used < n) cap *= 2;
  use(t, lua_newuserdatauv(L, cap, 0), cap);
  lua_replace(L, t->slot);
}

void gl_json_done(lua_State *L, gl_json_text *t) {
  size_t cap = (size_t)(t->end - t->start);
  if (t->start == t->first || cap > SPARE) return;
  t->start = t->at = t->end = t->first;
  lua_pushvalue(L, t->slot);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
}
