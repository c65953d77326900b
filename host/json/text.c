/* SPDX-License-Identifier: MIT */
#include "json/text.h"

#include <lauxlib.h>

#define SPARE ((size_t)1024 * 1024) /* bytes, at most, that are kept for the next text */

static const char spare; /* its address is the registry key of a userdata that no text uses, or of false */

static bool is_tail(const char *p, int from, int to) {
  unsigned char c = (unsigned char)*p;
  return c >= from && c <= to;
}

/* Follows the table of well-formed sequences in Unicode 15, 3.9: no overlong ones, no surrogates, nothing above U+10FFFF. */
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

/* ---- skipping and copying, many bytes at once ---- */

#ifdef __SSE2__
static inline unsigned bits(__m128i b) { return (unsigned)_mm_movemask_epi8(b); }

/* Returns a bit for each byte of `b` from `low` to `high`, which are both 0x80 or more. */
static inline unsigned between(__m128i b, unsigned char low, unsigned char high) {
  __m128i above = _mm_cmpgt_epi8(b, _mm_set1_epi8((char)(low - 1))), below = _mm_cmplt_epi8(b, _mm_set1_epi8((char)(high + 1)));
  return bits(_mm_and_si128(above, below));
}

/* Returns how many of 16 bytes, some of which are not ASCII, are whole characters of one to three bytes: up to `stop` (a bit, or 16) and
 * to the first other character. Characters that begin with 0xe0 or 0xed count as such: their second byte has rules of its own. A lead
 * byte asks for continuation bytes behind it; the characters are well-formed up to the first place where one is asked for and there is
 * none, or there is one and none is asked for. */
static inline unsigned whole(__m128i b, unsigned stop) {
  unsigned follow = bits(_mm_cmplt_epi8(b, _mm_set1_epi8((char)0xc0)));
  unsigned two = between(b, 0xc2, 0xdf), three = between(b, 0xe1, 0xef) & ~bits(_mm_cmpeq_epi8(b, _mm_set1_epi8((char)0xed)));
  unsigned other = bits(b) & ~(follow | two | three), asked = (two | three) << 1 | three << 2;
  unsigned wrong = (asked ^ follow) | other | 1u << stop, n = (unsigned)__builtin_ctz(wrong);
  unsigned leads = (two | three) & ((1u << n) - 1);
  if (!leads) return n;
  unsigned last = 31 - (unsigned)__builtin_clz(leads), length = three >> last & 1 ? 3 : 2;
  return last + length > n ? last : n; /* the last character ends behind the block */
}
#endif

/* What the functions below do with the bytes; a constant in each function, so that the compiler drops the other cases. */
typedef enum mode { SKIP, COPY, QUOTE } mode;

static inline bool is_quotable(char c) { return c == '"' || c == '\\'; }

static inline void quote(char **to, char c) {
  *(*to)++ = '\\';
  *(*to)++ = c;
}

/* Skips 16 bytes at a time, as long as all are valid. Where this stops, `valid` reads one character. */
static inline const char *valid_blocks(char **to, const char *p, const char *end, const char *pause, mode how) {
#ifdef __SSE2__
  while (end - p >= 16 && p < pause) {
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    if (how != SKIP) _mm_storeu_si128((__m128i *)(void *)*to, b);
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('"')), _mm_cmpeq_epi8(b, _mm_set1_epi8('\\')));
    unsigned odd = bits(_mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(b, _mm_set1_epi8(0x1f)), b)));
    unsigned n = odd ? (unsigned)__builtin_ctz(odd) : 16;
    if (bits(b) & ((1u << n) - 1)) n = whole(b, n);
    p += n;
    if (how != SKIP) *to += n;
    if (how == QUOTE && n < 16 && is_quotable(*p)) quote(to, *p++);
    else if (n < 13) return p; /* else at most a character was cut in two */
  }
#else
  (void)end;
  const char *from = p;
  p = gl_text_skip_plain(p, pause);
  if (how != SKIP) memcpy(*to, from, (size_t)(p - from));
  if (how != SKIP) *to += p - from;
#endif
  return p;
}

static inline const char *valid(char **to, const char *p, const char *end, const char *pause, mode how) {
  for (;;) {
    p = valid_blocks(to, p, end, pause, how);
    for (; p < pause; p++) {
      bool plain = gl_text_is_plain((unsigned char)*p);
      if (plain && how != SKIP) *(*to)++ = *p;
      else if (!plain && how == QUOTE && is_quotable(*p)) quote(to, *p);
      else if (!plain) break;
    }
    int n = p < pause && (unsigned char)*p >= 0x80 ? gl_text_utf8(p, end) : 0;
    if (!n) return p;
    if (how != SKIP) memcpy(*to, p, (size_t)n);
    if (how != SKIP) *to += n;
    p += n;
  }
}

const char *gl_text_skip_valid(const char *p, const char *end, const char *pause) { return valid(NULL, p, end, pause, SKIP); }

const char *gl_text_copy_valid(char **to, const char *p, const char *end, const char *pause) { return valid(to, p, end, pause, COPY); }

const char *gl_text_quote_valid(char **to, const char *p, const char *end, const char *pause) { return valid(to, p, end, pause, QUOTE); }

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

/* Moves the text to the spare memory, in which most long texts fit, if that is large enough. Leaves false in the registry meanwhile:
 * other texts must not use the memory, and gl_json_done can then put it back without allocating. */
static bool use_spare(lua_State *L, gl_json_text *t, size_t n) {
  size_t cap = lua_rawgetp(L, LUA_REGISTRYINDEX, &spare) == LUA_TUSERDATA ? lua_rawlen(L, -1) : 0;
  lua_replace(L, t->slot);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
  if (cap >= n) use(t, lua_touserdata(L, t->slot), cap);
  return cap >= n;
}

/* Allocates a userdata, because the memory then counts as the script's, and is freed when an error is raised. */
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
