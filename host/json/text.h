/* SPDX-License-Identifier: MIT
 *
 * The bytes of JSON strings: which bytes may stand for themselves, and the growing text to which the encoder writes.
 */
#ifndef GL_JSON_TEXT_H
#define GL_JSON_TEXT_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "json/json.h"

#define GL_TEXT_SHORT 64 /* bytes of a string that gl_text_copy_plain may copy */
#define GL_TEXT_SLACK 16 /* bytes behind a copy that the copying may overwrite */

/* Returns the first byte from `p` to `end` that is not plain: a quote, a backslash, a control character or a byte from 0x80 on. */
static inline const char *gl_text_skip_plain(const char *p, const char *end);

/* Skips plain bytes and well-formed UTF-8. Returns the first quote, backslash or control character from `p` to `end`, or the first byte
 * that is no UTF-8; or else the beginning of a character at or behind `pause`, which is not behind `end`. */
const char *gl_text_skip_valid(const char *p, const char *end, const char *pause);

/* As gl_text_skip_valid, but copies the bytes that are skipped to *to, which moves behind the copy. There must be room for
 * `pause` - `p` bytes and GL_TEXT_SLACK more. */
const char *gl_text_copy_valid(char **to, const char *p, const char *end, const char *pause);

/* As gl_text_copy_valid, but does not stop at quotes and backslashes: each is copied with a backslash before it. There must be room for
 * twice as many bytes. */
const char *gl_text_quote_valid(char **to, const char *p, const char *end, const char *pause);

/* Copies `n` bytes, GL_TEXT_SHORT at most. Returns whether all of them are plain; if not, the copy is of no use. */
static inline bool gl_text_copy_plain(char *to, const char *from, size_t n);

/* Returns how many bytes the character at `p` has, whose first byte is 0x80 or more. 0: the bytes are no UTF-8. */
int gl_text_utf8(const char *p, const char *end);

/* Writes a code point as UTF-8, 4 bytes at most; returns the place behind it. */
char *gl_text_put_utf8(char *to, uint32_t code);

/* Makes `t` an empty text. Stack index `slot`, where there is nil, will hold the memory of a long one. */
void gl_text_begin(gl_json_text *t, int slot);

/* Gives the text memory for `n` more bytes, which moves it. Raises when memory is out. */
void gl_text_grow(lua_State *L, gl_json_text *t, size_t n);

/* Has room for `n` more bytes in the text, by gl_text_grow if need be. */
static inline void gl_text_reserve(lua_State *L, gl_json_text *t, size_t n) {
  if ((size_t)(t->end - t->at) < n) gl_text_grow(L, t, n);
}

static inline void gl_text_add(lua_State *L, gl_json_text *t, const char *bytes, size_t n) {
  gl_text_reserve(L, t, n);
  memcpy(t->at, bytes, n);
  t->at += n;
}

/* ---- many bytes at once ---- */

#define GL_BYTES(c) (UINT64_C(0x0101010101010101) * (c))

static inline bool gl_text_has_zero(uint64_t x) { return (x - GL_BYTES(1)) & ~x & GL_BYTES(0x80); }

static inline bool gl_text_are_plain(uint64_t x) {
  bool control_or_high = ((x - GL_BYTES(0x20)) | x) & GL_BYTES(0x80);
  return !control_or_high && !gl_text_has_zero(x ^ GL_BYTES('"')) && !gl_text_has_zero(x ^ GL_BYTES('\\'));
}

static inline bool gl_text_is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

#ifdef __SSE2__
/* Returns a bit for each of 16 bytes that is not plain. The comparison is signed, so that bytes from 0x80 on are below the blank, too. */
static inline int gl_text_odd(__m128i b) {
  __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('"')), _mm_cmpeq_epi8(b, _mm_set1_epi8('\\')));
  return _mm_movemask_epi8(_mm_or_si128(odd, _mm_cmplt_epi8(b, _mm_set1_epi8(' '))));
}

static inline int gl_text_copy_16(char *to, const char *from) {
  __m128i b = _mm_loadu_si128((const __m128i *)(const void *)from);
  _mm_storeu_si128((__m128i *)(void *)to, b);
  return gl_text_odd(b);
}
#else
static inline int gl_text_copy_16(char *to, const char *from) {
  uint64_t words[2];
  memcpy(words, from, 16);
  memcpy(to, words, 16);
  return !gl_text_are_plain(words[0]) || !gl_text_are_plain(words[1]);
}
#endif

static inline bool gl_text_copy_plain(char *to, const char *from, size_t n) {
  if (n >= 16) {
    int odd = 0;
    for (size_t i = 0; i + 16 < n; i += 16) odd |= gl_text_copy_16(to + i, from + i);
    return !(odd | gl_text_copy_16(to + n - 16, from + n - 16));
  }
  if (n >= 8) { /* two words, which may overlap */
    uint64_t head, tail;
    memcpy(&head, from, 8);
    memcpy(&tail, from + n - 8, 8);
    memcpy(to, &head, 8);
    memcpy(to + n - 8, &tail, 8);
    return gl_text_are_plain(head) && gl_text_are_plain(tail);
  }
  if (n >= 4) {
    uint32_t head, tail;
    memcpy(&head, from, 4);
    memcpy(&tail, from + n - 4, 4);
    memcpy(to, &head, 4);
    memcpy(to + n - 4, &tail, 4);
    return gl_text_are_plain(head | (uint64_t)tail << 32);
  }
  bool plain = true;
  for (size_t i = 0; i < n; i++) plain &= gl_text_is_plain((unsigned char)(to[i] = from[i]));
  return plain;
}

static inline const char *gl_text_skip_plain(const char *p, const char *end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    int odd = gl_text_odd(_mm_loadu_si128((const __m128i *)(const void *)p));
    if (odd) return p + __builtin_ctz((unsigned)odd);
  }
#else
  for (uint64_t word; end - p >= 8; p += 8) {
    memcpy(&word, p, 8);
    if (!gl_text_are_plain(word)) break;
  }
#endif
  while (p < end && gl_text_is_plain((unsigned char)*p)) p++;
  return p;
}

#endif
