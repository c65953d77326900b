/* SPDX-License-Identifier: MIT */
#include "h1/rules.h"

#include <string.h>
#include <strings.h>

#include "h1/fields.h"
#include "h1/status.h"

/* ---- both sides ---- */

static void trim(gl_head *h) {
  for (uint32_t i = 0; i < h->nfields; i++) {
    gl_field *f = &h->fields[i];
    while (f->value_len) {
      char c = h->text[f->value + f->value_len - 1];
      if (c != ' ' && c != '\t') break;
      f->value_len--;
    }
  }
}

static bool same(const gl_head *h, const gl_field *f, const char *name, size_t len) {
  return f->name_len == len && memcmp(h->text + f->name, name, len) == 0;
}

typedef struct tally {
  int hosts, types;
  bool close, keep_alive;
} tally;

static gl_text value_of(const gl_head *h, const gl_field *f) { return gl_text_of(h->text + f->value, f->value_len); }

static void read_connection(tally *t, gl_text list) {
  gl_text option;
  while (gl_take_element(&list, &option)) {
    t->close |= gl_text_is(option, "close");
    t->keep_alive |= gl_text_is(option, "keep-alive");
  }
}

static int read_coding(gl_head *h, gl_text coding) {
  if (h->minor == 0) return gl_head_refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 message");
  if (!gl_text_len(coding)) return gl_head_refuse(h, 400, "an empty Transfer-Encoding");
  if (!gl_text_is(coding, "chunked") || h->chunked) return gl_head_refuse(h, 501, "a transfer encoding other than chunked");
  h->chunked = true;
  return 0;
}

#define NAMED(f, name) same(h, f, "" name, sizeof(name) - 1)

/* Sets the length of the body. read_coding has found out whether it is chunked, since llhttp does not read a coding behind a tab; the rest
 * is the parser's. A coding that only the parser has found is refused. */
static int read_length(gl_head *h, llhttp_t *parser) {
  if (h->chunked) parser->flags |= F_CHUNKED;
  else if (parser->flags & F_CHUNKED) return gl_head_refuse(h, 400, "malformed Transfer-Encoding");
  h->upgrade = parser->upgrade != 0;
  h->content_length = h->chunked ? 0 : parser->content_length;
  return 0;
}

/* ---- requests ---- */

/* May the character be in a host (RFC 3986, 3.2.2)? The comma may not: it could join two Host headers. */
static bool is_host_char(char c) {
  static const bool set[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['%'] = 1, ['!'] = 1,
    ['$'] = 1, ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [';'] = 1, ['='] = 1,
  };
  return set[(uint8_t)c];
}

bool gl_is_host(const char *p, size_t n) {
  const char *end = p + n, *from = p;
  if (n && *p == '[') {
    do p++;
    while (p < end && (strchr("0123456789abcdefABCDEF:.", *p) && *p));
    if (p == end || p == from + 1 || *p++ != ']') return false;
  } else {
    while (p < end && is_host_char(*p)) p++;
  }
  if (p == from) return false;
  if (p == end) return true;
  if (*p++ != ':' || end - p > 5) return false;
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p == end;
}

static int check_request_field(gl_head *h, const gl_field *f, tally *t) {
  switch (f->name_len) {
    case 0: return gl_head_refuse(h, 400, "a header line without a name");
    case 4:
      if (!NAMED(f, "host")) return 0;
      t->hosts++;
      return gl_is_host(h->text + f->value, f->value_len) ? 0 : gl_head_refuse(h, 400, "the Host header is not one host");
    case 6:
      if (!NAMED(f, "expect")) return 0;
      h->expect_continue = h->minor >= 1;
      return gl_text_is(value_of(h, f), "100-continue") ? 0 : gl_head_refuse(h, 417, "unknown expectation");
    case 10:
      if (NAMED(f, "connection")) read_connection(t, value_of(h, f));
      return 0;
    case 12:
      if (NAMED(f, "content-type") && ++t->types > 1) return gl_head_refuse(h, 400, "more than one Content-Type header");
      return 0;
    case 17: return NAMED(f, "transfer-encoding") ? read_coding(h, value_of(h, f)) : 0;
    default: return 0;
  }
}

/* Checks each header line of a request by its name. */
static int check_request_fields(gl_head *h) {
  tally t = {0};
  for (uint32_t i = 0; i < h->nfields; i++)
    if (check_request_field(h, &h->fields[i], &t) != 0) return -1;
  if (t.hosts > 1) return gl_head_refuse(h, 400, "more than one Host header");
  if (t.hosts == 0 && h->minor >= 1) return gl_head_refuse(h, 400, "no Host header");
  h->keep_alive = !t.close && (h->minor >= 1 || t.keep_alive);
  return 0;
}

/* Drops header lines with a `_` in the name, for servers that pass requests on to programs which take `_` for `-`, as CGI does, and with
 * it one header for another. */
static void drop_underscores(gl_head *h) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < h->nfields; i++)
    if (!memchr(h->text + h->fields[i].name, '_', h->fields[i].name_len)) h->fields[kept++] = h->fields[i];
  h->nfields = kept;
}

/* Reduces an absolute target to its path, and makes its host the value of the Host header (RFC 9112, 3.2.2). */
static int split_url(gl_head *h, uint32_t scheme) {
  char *t = h->text, host[264];
  uint32_t i = scheme;
  while (i < h->target_len && t[i] != '/' && t[i] != '?') i++;
  uint32_t host_len = i - scheme, rest = h->target_len - i;
  if (!host_len || host_len > sizeof host || !gl_is_host(t + scheme, host_len)) return gl_head_refuse(h, 400, "the request target has no valid host");
  memcpy(host, t + scheme, host_len);
  bool no_path = !rest || t[i] == '?';
  memmove(t + no_path, t + i, rest);
  t[0] = '/';
  h->target_len = rest + no_path;
  h->path_len = h->path_len - i + no_path;
  memcpy(t + h->target_len, host, host_len); /* the scheme, which is gone, has left room */
  for (uint32_t f = 0; f < h->nfields; f++) {
    if (!same(h, &h->fields[f], "host", 4)) continue;
    h->fields[f].value = h->target_len;
    h->fields[f].value_len = host_len;
  }
  return 0;
}

/* Accepts a target in origin form, in absolute form, and the asterisk of OPTIONS. */
static int check_target(gl_head *h) {
  const char *t = h->text;
  if (h->target_has & GL_TARGET_HASH) return gl_head_refuse(h, 400, "the request target has a fragment");
  if (h->target_has & GL_TARGET_BACKSLASH) /* some programs take one in the path for a slash; no URI has one */
    return gl_head_refuse(h, 400, "the request target has a backslash");
  if (h->target_len && t[0] == '/') return 0;
  if (h->target_len == 1 && t[0] == '*' && h->method == HTTP_OPTIONS) return 0;
  if (h->target_len > 7 && strncasecmp(t, "http://", 7) == 0) return split_url(h, 7);
  if (h->target_len > 8 && strncasecmp(t, "https://", 8) == 0) return split_url(h, 8);
  return gl_head_refuse(h, 400, "the request target is neither a path nor a URL");
}

int gl_request_check_head(gl_head *h, const gl_head_limits *max) {
  if (h->method == HTTP_CONNECT || h->method == HTTP_TRACE) return gl_head_refuse(h, 501, "method not implemented");
  trim(h);
  if (max->drop_underscores) drop_underscores(h);
  return check_request_fields(h) != 0 || check_target(h) != 0 ? -1 : 0;
}

int gl_request_check(gl_head *h, const gl_head_limits *max, llhttp_t *parser) {
  if (gl_request_check_head(h, max) != 0 || read_length(h, parser) != 0) return -1;
  h->has_body = h->chunked || h->content_length > 0;
  return 0;
}

/* ---- responses ---- */

int gl_response_check(gl_head *h, gl_answers answers, llhttp_t *parser) {
  bool opens_tunnel = answers == GL_ANSWERS_CONNECT && h->status / 100 == 2;
  tally t = {0};
  trim(h);
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    if (!f->name_len) return gl_head_refuse(h, 502, "a header line without a name");
    if (NAMED(f, "connection")) read_connection(&t, value_of(h, f));
    if (!opens_tunnel && NAMED(f, "transfer-encoding") && read_coding(h, value_of(h, f)) != 0) return -1;
  }
  if (!opens_tunnel && read_length(h, parser) != 0) return -1;
  bool none = opens_tunnel || answers == GL_ANSWERS_HEAD || gl_status_is_bodiless(h->status);
  h->has_length = !opens_tunnel && parser->flags & F_CONTENT_LENGTH;
  h->until_close = !none && !h->chunked && !h->has_length;
  h->has_body = !none && (h->chunked || h->until_close || h->content_length > 0);
  h->keep_alive = !t.close && !h->until_close && (h->minor >= 1 || t.keep_alive);
  return 0;
}
