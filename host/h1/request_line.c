/* SPDX-License-Identifier: MIT
 *
 * Reads METHOD SP target SP HTTP/1.1 CRLF. llhttp would refuse a method that it does not know, but a method may be any token.
 */
#include <string.h>

#include "h1/start_line.h"

enum { LINE_START, LINE_EMPTY, LINE_METHOD, LINE_PATH, LINE_QUERY, LINE_VERSION = GL_LINE_DONE - 10 };

static const char version[] = "HTTP/d.d\r\n"; /* d: a digit */

_Static_assert(LINE_QUERY < LINE_VERSION && sizeof version - 1 == 10, "places of a request line");

static uint8_t method_of(const char *name, size_t n) {
#define IS(number, id, text) \
  if (n == sizeof #text - 1 && memcmp(name, #text, n) == 0) return number;
  HTTP_METHOD_MAP(IS)
#undef IS
  return GL_METHOD_OTHER;
}

/* Skips empty lines before the request line, which are allowed (RFC 9112, 2.2). */
static size_t read_start(gl_head *h, const char *at) {
  if (h->line == LINE_EMPTY ? *at != '\n' : *at == '\n') {
    gl_head_refuse(h, 400, "a line that does not end in CRLF before the request line");
    return 0;
  }
  if (h->line == LINE_EMPTY) h->line = LINE_START;
  else if (*at == '\r') h->line = LINE_EMPTY;
  else h->line = LINE_METHOD;
  return h->line == LINE_METHOD ? 0 : 1;
}

static size_t read_method(gl_head *h, const char *at, size_t n) {
  size_t i = 0;
  while (i < n && gl_is_token_char(at[i])) i++;
  if (h->method_len + i > GL_METHOD_MAX) {
    gl_head_refuse(h, 501, "the method is too long");
    return 0;
  }
  memcpy(h->method_name + h->method_len, at, i);
  h->method_len = (uint8_t)(h->method_len + i);
  if (i == n) return n;
  if (at[i] != ' ' || !h->method_len) {
    gl_head_refuse(h, 400, "malformed method");
    return 0;
  }
  h->method = method_of(h->method_name, h->method_len);
  h->line = LINE_PATH;
  return i + 1;
}

#define AT_END 0x40   /* the character cannot be in a target */
#define AT_QUERY 0x80 /* the character ends the path of a target */

/* Returns how many bytes come before one of the kind `stop`, and adds the GL_TARGET_... bits of these bytes to *has, so that the target is
 * read only once. */
static size_t span(const char *at, size_t n, uint8_t stop, uint8_t *has) {
  static const uint8_t kinds[256] = {
    [0 ... ' '] = AT_END, [0x7f ... 0xff] = AT_END, ['?'] = AT_QUERY, ['%'] = GL_TARGET_ESCAPE, ['.'] = GL_TARGET_DOT,
    ['\\'] = GL_TARGET_BACKSLASH, ['#'] = GL_TARGET_HASH,
  };
  uint8_t kind = 0;
  for (size_t i = 0;; i++) {
    while (i < n && !(kind = kinds[(uint8_t)at[i]])) i++;
    if (i == n || kind & stop) return i;
    *has |= kind;
  }
}

static size_t read_path(gl_head *h, const char *at, size_t n) {
  size_t i = span(at, n, AT_END | AT_QUERY, &h->target_has);
  h->path_len += (uint32_t)i;
  if (i < n && at[i] == '?') h->line = LINE_QUERY;
  return i;
}

/* Reads the query. Of its characters only '#' matters later. */
static size_t read_query(gl_head *h, const char *at, size_t n) {
  uint8_t has = 0;
  size_t i = span(at, n, AT_END, &has);
  h->target_has |= has & GL_TARGET_HASH;
  return i;
}

static size_t read_target(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  size_t i = h->line == LINE_PATH ? read_path(h, at, n) : read_query(h, at, n);
  if (h->target_len + i > max->target) {
    gl_head_refuse(h, 414, "request target too long");
    return 0;
  }
  h->target_len += (uint32_t)i;
  if (gl_head_add(h, max, at, i) != 0) return 0;
  if (i == n || at[i] == '?') return i;
  if (at[i] != ' ' || !h->target_len) {
    gl_head_refuse(h, 400, "malformed request target");
    return 0;
  }
  h->line = LINE_VERSION;
  return i + 1;
}

/* Reads a digit of the version. A request of a later minor version is answered as one of 1.1 (RFC 9110, 2.5). */
static void set_version(gl_head *h, int place, int digit) {
  if (place == 7) h->minor = digit > 0;
  else if (digit == 0) gl_head_refuse(h, 400, "no HTTP version");
  else if (digit > 1) gl_head_refuse(h, 505, "HTTP version not supported");
}

static size_t read_version(gl_head *h, const char *at, size_t n) {
  if (h->line == LINE_VERSION && n >= 10 && memcmp(at, "HTTP/1.1\r\n", 10) == 0) {
    h->minor = 1;
    h->line = GL_LINE_DONE;
    return 10;
  }
  size_t i = 0;
  for (; i < n && h->line < GL_LINE_DONE && !h->refuse_status; i++, h->line++) {
    int place = h->line - LINE_VERSION;
    if (version[place] == 'd' && at[i] >= '0' && at[i] <= '9') set_version(h, place, at[i] - '0');
    else if (version[place] == 'd' || at[i] != version[place]) gl_head_refuse(h, 400, "malformed HTTP version");
  }
  return i;
}

/* Reads "GET " at once: most requests begin with it. */
static size_t read_get(gl_head *h) {
  memcpy(h->method_name, "GET", 3);
  h->method_len = 3;
  h->method = HTTP_GET;
  h->line = LINE_PATH;
  return 4;
}

size_t gl_request_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  size_t used = h->line == LINE_START && n >= 4 && memcmp(at, "GET ", 4) == 0 ? read_get(h) : 0;
  while (used < n && h->line < GL_LINE_DONE && !h->refuse_status) {
    const char *p = at + used;
    if (h->line <= LINE_EMPTY) used += read_start(h, p);
    else if (h->line == LINE_METHOD) used += read_method(h, p, n - used);
    else if (h->line <= LINE_QUERY) used += read_target(h, max, p, n - used);
    else used += read_version(h, p, n - used);
  }
  h->raw += (uint32_t)used;
  h->last = '\n';
  if (h->raw > max->bytes + max->target) gl_head_refuse(h, 431, "request header fields too large");
  return used;
}

void gl_request_line_set(gl_head *h, const gl_head_limits *max, gl_text method, gl_text target) {
  size_t n = gl_text_len(target), used = 0;
  if (read_method(h, method.at, gl_text_len(method)) != gl_text_len(method) || !h->method_len) {
    gl_head_refuse(h, 400, "malformed method");
    return;
  }
  h->method = method_of(h->method_name, h->method_len);
  h->line = LINE_PATH;
  while (used < n && h->line != LINE_VERSION && !h->refuse_status) used += read_target(h, max, target.at + used, n - used);
  if (!n || h->line == LINE_VERSION) gl_head_refuse(h, 400, "malformed request target"); /* there is a blank in it */
  h->line = GL_LINE_DONE;
}
