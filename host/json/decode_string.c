/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/hex.h"
#include "core/preempt.h"
#include "json/decoder.h"
#include "json/text.h"

#define PART 512        /* bytes of a string with escapes, at most, that are copied at once */

/* ---- errors ---- */

static void locate(const gl_decoder *d, const char *at, int *line, int *column) {
  const char *begin = d->text;
  *line = *column = 1;
  for (const char *p = begin; p < at; p++)
    if (*p == '\n') {
      ++*line;
      begin = p + 1;
    }
  for (const char *p = begin; p < at; p++) *column += ((unsigned char)*p & 0xc0) != 0x80; /* a column is a character: continuation bytes do not count */
}

static void set_integer(lua_State *L, const char *name, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

void gl_decoder_fail(gl_decoder *d, const char *at, const char *fault) {
  lua_State *L = d->L;
  int line, column;
  luaL_checkstack(L, 12, GL_DECODER_OP);
  locate(d, at, &line, &column);
  gl_error_push(L, GL_DECODER_OP, "EJSON", "line %d, column %d: %s", line, column, fault);
  set_integer(L, "position", at - d->text + 1);
  set_integer(L, "line", line);
  set_integer(L, "column", column);
  lua_error(L);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void gl_decoder_fail_found(gl_decoder *d, const char *at, const char *expected) {
  char found[32], fault[160];
  unsigned char c = (unsigned char)*at;
  int n = 0;
  while (n < 16 && at + n < d->end && is_letter(at[n])) n++;
  if (at == d->end) snprintf(found, sizeof found, "the end of the text");
  else if (n > 1) snprintf(found, sizeof found, "'%.*s'", n, at);
  else if (c > 0x20 && c < 0x7f) snprintf(found, sizeof found, "'%c'", c);
  else snprintf(found, sizeof found, "the byte 0x%02X", c);
  snprintf(fault, sizeof fault, "%s expected, found %s", expected, found);
  gl_decoder_fail(d, at, fault);
}

/* ---- strings ---- */

static int hex4(const char *p) {
  int n = 0;
  for (int i = 0; i < 4; i++) {
    int digit = gl_hex(p[i]);
    if (digit < 0) return -1; /* the NUL behind the text is no digit, so that the loop ends there */
    n = n << 4 | digit;
  }
  return n;
}

/* Reads the escape whose u is at `p`, and writes its character; returns the place behind the escape. */
static const char *read_unicode(gl_decoder *d, const char *p) {
  int code = hex4(p + 1);
  if (code < 0) gl_decoder_fail(d, p - 1, "four hexadecimal digits must follow \\u");
  const char *next = p + 5;
  if (code >= 0xd800 && code < 0xe000) {
    int low = code < 0xdc00 && next[0] == '\\' && next[1] == 'u' ? hex4(next + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff) gl_decoder_fail(d, p - 1, "half of a surrogate pair is no character");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    next += 6;
  }
  d->unescaped.at = gl_text_put_utf8(d->unescaped.at, (uint32_t)code);
  return next;
}

/* Reads the escape whose backslash is before `p`, and writes its character, for which the text has room; returns the place behind it. */
static const char *read_escape(gl_decoder *d, const char *p) {
  char c;
  switch (*p) {
    case '"': case '\\': case '/': c = *p; break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u': return read_unicode(d, p);
    default: gl_decoder_fail(d, p - 1, "a backslash in a string must begin one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u"); return p;
  }
  *d->unescaped.at++ = c;
  return p + 1;
}

void gl_decoder_look(gl_decoder *d, const char *at) {
  gl_preempt_check(d->L);
  d->look = at + GL_DECODER_STEP;
}

/* Raises EJSON for the byte at `p`, which a string cannot contain. Never returns. */
static void fail_string(gl_decoder *d, const char *p) {
  if ((unsigned char)*p >= 0x80) gl_decoder_fail(d, p, "a string that is not UTF-8");
  if (p == d->end) gl_decoder_fail(d, p, "a string is not closed");
  gl_decoder_fail(d, p, "a control character in a string must be written as an escape");
}

/* Does what gl_text_skip_valid does up to the end of the text, and makes way for other tasks. */
static const char *skip_valid(gl_decoder *d, const char *p) {
  for (;;) {
    const char *pause = d->look > p && d->look < d->end ? d->look : d->end;
    p = gl_text_skip_valid(p, d->end, pause);
    if (p < pause || p == d->end) return p;
    gl_decoder_look(d, p);
  }
}

/* Does the same, and copies the bytes to `unescaped`. */
static const char *copy_valid(gl_decoder *d, const char *p) {
  gl_json_text *t = &d->unescaped;
  for (;;) {
    const char *pause = d->end - p > PART ? p + PART : d->end;
    gl_text_reserve(d->L, t, (size_t)(pause - p) + GL_TEXT_SLACK);
    p = gl_text_copy_valid(&t->at, p, d->end, pause);
    if (p >= d->look) gl_decoder_look(d, p);
    if (p < pause || p == d->end) return p;
  }
}

/* Pushes a string that begins at `p`, has valid bytes up to `odd`, and may have escapes from there on; returns the place behind its
 * closing quote. */
static const char *read_escaped(gl_decoder *d, const char *p, const char *odd) {
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

const char *gl_decoder_string(gl_decoder *d, const char *p) {
  const char *odd = gl_text_skip_plain(p, d->end);
  if (*odd != '"') odd = skip_valid(d, odd);
  if (*odd != '"') return read_escaped(d, p, odd);
  lua_pushlstring(d->L, p, (size_t)(odd - p));
  return odd + 1;
}

/* Pushes the string of a name without escapes. A name is kept at a place that its first byte, last byte and length give. */
static void push_name(gl_decoder *d, const char *at, size_t n) {
  unsigned where = n ? ((unsigned)(unsigned char)at[0] * 7 + (unsigned)(unsigned char)at[n - 1] * 3 + (unsigned)n) % GL_DECODER_NAMES : 0;
  gl_decoder_known *known = &d->names[where];
  if (known->at && known->n == n && memcmp(known->at, at, n) == 0) {
    lua_pushvalue(d->L, d->strings + (int)where);
    return;
  }
  lua_pushlstring(d->L, at, n);
  lua_copy(d->L, -1, d->strings + (int)where);
  *known = (gl_decoder_known){at, n};
}

const char *gl_decoder_name(gl_decoder *d, const char *p) {
  const char *end = d->names ? gl_text_skip_plain(p, d->end) : p;
  if (!d->names || *end != '"') return gl_decoder_string(d, p);
  push_name(d, p, (size_t)(end - p));
  return end + 1;
}
