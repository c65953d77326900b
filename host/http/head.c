/* SPDX-License-Identifier: MIT */
#include "http/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(gl_head *h, uint16_t status, const char *reason) {
  if (!h->status) {
    h->status = status;
    h->reason = reason;
  }
  return -1;
}

void gl_head_clear(gl_head *h) {
  gl_head kept = {.text = h->text, .cap = h->cap, .fields = h->fields, .fields_cap = h->fields_cap};
  *h = kept;
}

void gl_head_free(gl_head *h) {
  free(h->text);
  free(h->fields);
  free(h);
}

/* ---- collecting ---- */

static char *room(gl_head *h, size_t n) {
  if (n <= h->cap - h->len) return h->text + h->len;
  uint32_t cap = h->cap ? h->cap : 512;
  while (cap - h->len < n) cap *= 2; /* bounded: the limits are checked before */
  char *text = realloc(h->text, cap);
  if (!text) return NULL;
  h->text = text;
  h->cap = cap;
  return text + h->len;
}

static int add(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (n > max->bytes || h->len + n > max->bytes) return refuse(h, 431, "request header fields too large");
  char *to = room(h, n);
  if (!to) return refuse(h, 503, "not enough memory");
  memcpy(to, at, n);
  h->len += (uint32_t)n;
  return 0;
}

int gl_head_target(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (h->target_len + n > max->target) return refuse(h, 414, "request target too long");
  h->target_len += (uint32_t)n;
  return add(h, max, at, n);
}

static int new_field(gl_head *h, const gl_head_limits *max) {
  if (h->nfields == max->fields) return refuse(h, 431, "too many request header fields");
  if (h->nfields == h->fields_cap) {
    uint32_t cap = h->fields_cap ? h->fields_cap * 2 : 16;
    gl_field *fields = realloc(h->fields, cap * sizeof *fields);
    if (!fields) return refuse(h, 503, "not enough memory");
    h->fields = fields;
    h->fields_cap = cap;
  }
  h->fields[h->nfields++] = (gl_field){.name = h->len};
  h->in_value = false;
  return 0;
}

int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if ((h->in_value || h->nfields == 0) && new_field(h, max) != 0) return -1;
  uint32_t from = h->len;
  if (add(h, max, at, n) != 0) return -1;
  for (char *c = h->text + from, *end = c + n; c < end; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c | 0x20);
  h->fields[h->nfields - 1].name_len += (uint32_t)n;
  return 0;
}

int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (h->nfields == 0) return refuse(h, 400, "a header line without a name");
  gl_field *f = &h->fields[h->nfields - 1];
  if (!h->in_value) f->value = h->len;
  h->in_value = true;
  if (add(h, max, at, n) != 0) return -1;
  f->value_len += (uint32_t)n;
  return 0;
}

const char *gl_head_bad_line(char before, const char *at, size_t n) {
  const char *end = at + n, *p = at;
  if (n && before == '\n' && (*at == ' ' || *at == '\t')) return "folded header line";
  while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    if ((p > at ? p[-1] : before) != '\r') return "a line ends in LF without CR";
    if (++p < end && (*p == ' ' || *p == '\t')) return "folded header line";
  }
  return NULL;
}

/* The byte `back` before p, which may have come with an earlier piece. */
static char byte_before(const gl_head *h, const char *at, const char *p, size_t back) {
  size_t here = (size_t)(p - at);
  return back <= here ? p[-(long)back] : h->tail[sizeof h->tail - (back - here)];
}

static void keep_tail(gl_head *h, const char *at, size_t n) {
  size_t keep = sizeof h->tail;
  if (n < keep) memmove(h->tail, h->tail + n, keep - n);
  else at += n - keep;
  if (n < keep) memcpy(h->tail + keep - n, at, n);
  else memcpy(h->tail, at, keep);
}

/* Empty lines may come first. Of the request line, note the length; llhttp also speaks RTSP and ICE. */
static int request_line(gl_head *h, const char *at, size_t n) {
  const char *end = at + n, *p = at;
  while (!h->line_len && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    uint32_t after = h->raw + (uint32_t)(p - at) + 1, len = after - h->line_at;
    if (len == 2) h->line_at = after;
    else if (byte_before(h, at, p, 9) != 'H') return refuse(h, 400, "the request line does not end in an HTTP version");
    else h->line_len = len;
    p++;
  }
  return 0;
}

int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  const char *wrong = gl_head_bad_line(h->tail[sizeof h->tail - 1], at, n);
  if (wrong) return refuse(h, 400, wrong);
  if (!h->line_len && request_line(h, at, n) != 0) return -1;
  h->raw += (uint32_t)n;
  if (h->raw > max->bytes + max->target) return refuse(h, 431, "request header fields too large");
  keep_tail(h, at, n);
  return 0;
}

/* ---- checking the whole ---- */

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

const gl_field *gl_head_find(const gl_head *h, const char *name) {
  size_t len = strlen(name);
  for (uint32_t i = 0; i < h->nfields; i++)
    if (same(h, &h->fields[i], name, len)) return &h->fields[i];
  return NULL;
}

bool gl_head_has(const gl_head *h, const char *name, const char *token) {
  size_t len = strlen(name), want = strlen(token);
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    if (!same(h, f, name, len)) continue;
    const char *p = h->text + f->value, *end = p + f->value_len;
    while (p < end) {
      while (p < end && (*p == ' ' || *p == '\t' || *p == ',')) p++;
      const char *from = p;
      while (p < end && *p != ',') p++;
      const char *to = p;
      while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
      if ((size_t)(to - from) == want && strncasecmp(from, token, want) == 0) return true;
    }
  }
  return false;
}

/* 1: in a host (RFC 3986, 3.2.2, without the comma that joins repeated headers). 2: in a token (RFC 9110, 5.6.2). */
static const uint8_t char_class[256] = {
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 3, 0, 2, 3, 3, 3, 3, 1, 1, 3, 3, 0, 3, 3, 0,
  3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 1, 0, 1, 0, 0,
  0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
  3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 2, 3,
  2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
  3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 2, 0, 3, 0,
};

static bool is_host_char(char c) { return char_class[(uint8_t)c] & 1; }
static bool is_token_char(char c) { return char_class[(uint8_t)c] & 2; }

/* A name or an address, and perhaps a port. */
static bool is_host(const char *p, size_t n) {
  const char *end = p + n;
  if (n && *p == '[') {
    do p++;
    while (p < end && (strchr("0123456789abcdefABCDEF:.", *p) && *p));
    if (p == end || *p++ != ']') return false;
  } else {
    while (p < end && is_host_char(*p)) p++;
  }
  if (p == end) return true;
  if (*p++ != ':' || end - p > 5) return false;
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p == end;
}

/* One walk over the lines, for what the names alone decide. */
static int check_fields(gl_head *h) {
  int hosts = 0;
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    const char *name = h->text + f->name;
    if (!f->name_len) return refuse(h, 400, "a header line without a name");
    if (memchr(name, '_', f->name_len)) return refuse(h, 400, "a header name contains an underscore");
    if (f->name_len == 4 && memcmp(name, "host", 4) == 0) {
      hosts++;
      if (!is_host(h->text + f->value, f->value_len)) return refuse(h, 400, "the Host header is not one host");
    } else if (f->name_len == 6 && memcmp(name, "expect", 6) == 0) {
      if (f->value_len != 12 || strncasecmp(h->text + f->value, "100-continue", 12) != 0) return refuse(h, 417, "unknown expectation");
      h->expect_continue = h->minor >= 1;
    } else if (f->name_len == 17 && memcmp(name, "transfer-encoding", 17) == 0) {
      if (h->minor == 0) return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
      if (f->value_len != 7 || strncasecmp(h->text + f->value, "chunked", 7) != 0 || h->chunked)
        return refuse(h, 501, "a transfer encoding other than chunked");
      h->chunked = true;
    }
  }
  if (hosts > 1) return refuse(h, 400, "more than one Host header");
  if (hosts == 0 && h->minor >= 1) return refuse(h, 400, "no Host header");
  return 0;
}

/* Only the path of an absolute target is kept, and its host is the Host header's value (RFC 9112, 3.2.2). */
static int split_url(gl_head *h, uint32_t scheme) {
  char *t = h->text, host[264];
  uint32_t i = scheme;
  while (i < h->target_len && t[i] != '/' && t[i] != '?') i++;
  uint32_t host_len = i - scheme, rest = h->target_len - i;
  if (!host_len || host_len > sizeof host || !is_host(t + scheme, host_len)) return refuse(h, 400, "the request target has no valid host");
  memcpy(host, t + scheme, host_len);
  bool no_path = !rest || t[i] == '?';
  memmove(t + no_path, t + i, rest);
  t[0] = '/';
  h->target_len = rest + no_path;
  memcpy(t + h->target_len, host, host_len); /* there is room: the scheme is gone */
  for (uint32_t f = 0; f < h->nfields; f++) {
    if (!same(h, &h->fields[f], "host", 4)) continue;
    h->fields[f].value = h->target_len;
    h->fields[f].value_len = host_len;
  }
  return 0;
}

/* Origin form, absolute form, and the asterisk for OPTIONS. */
static int check_target(gl_head *h) {
  const char *t = h->text;
  if (memchr(t, '#', h->target_len)) return refuse(h, 400, "the request target has a fragment");
  if (h->target_len && t[0] == '/') return 0;
  if (h->target_len == 1 && t[0] == '*' && h->method == HTTP_OPTIONS) return 0;
  if (h->target_len > 7 && strncasecmp(t, "http://", 7) == 0) return split_url(h, 7);
  if (h->target_len > 8 && strncasecmp(t, "https://", 8) == 0) return split_url(h, 8);
  return refuse(h, 400, "the request target is neither a path nor a URL");
}

int gl_head_complete(gl_head *h, const llhttp_t *parser) {
  h->method = parser->method;
  h->minor = parser->http_minor;
  if (parser->http_major == 0) return refuse(h, 400, "no HTTP version");
  if (parser->http_major != 1 || parser->http_minor > 1) return refuse(h, 505, "HTTP version not supported");
  if (h->method == HTTP_CONNECT || h->method == HTTP_TRACE || h->method == HTTP_PRI) return refuse(h, 501, "method not implemented");
  if (h->line_len != strlen(llhttp_method_name((llhttp_method_t)h->method)) + h->target_len + 12) /* METHOD SP target SP HTTP/1.1 CRLF */
    return refuse(h, 400, "malformed request line");
  trim(h);
  if (check_fields(h) != 0 || check_target(h) != 0) return -1;
  if (h->chunked != ((parser->flags & F_CHUNKED) != 0)) return refuse(h, 400, "malformed Transfer-Encoding");
  h->keep_alive = llhttp_should_keep_alive(parser) != 0;
  h->upgrade = parser->upgrade != 0;
  h->content_length = h->chunked ? 0 : parser->content_length;
  h->has_body = h->chunked || h->content_length > 0;
  return 0;
}

/* Did the parser stop in or right behind a token? Decided by the bytes up to there: the rest may be still to come. */
static bool stopped_in_token(const gl_head *h, const char *at, const char *bytes, size_t n) {
  if (at < bytes || at >= bytes + n) return false;
  return is_token_char(*at) || (*at == ' ' && is_token_char(byte_before(h, bytes, at, 1)));
}

void gl_head_refuse(gl_head *h, const llhttp_t *parser, const char *bytes, size_t n) {
  if (h->status) return;
  const char *reason = llhttp_get_error_reason(parser);
  switch (llhttp_get_errno(parser)) {
    case HPE_INVALID_METHOD:
      if (stopped_in_token(h, llhttp_get_error_pos(parser), bytes, n)) refuse(h, 501, "method not implemented");
      else refuse(h, 400, "malformed method");
      break;
    case HPE_INVALID_CONSTANT:
      if (strcmp(reason, "Invalid method for HTTP/x.x request") == 0) refuse(h, 501, "method not implemented");
      else refuse(h, 400, reason);
      break;
    case HPE_INVALID_VERSION:
      if (strcmp(reason, "Invalid HTTP version") == 0) refuse(h, 505, "HTTP version not supported");
      else refuse(h, 400, "malformed HTTP version");
      break;
    case HPE_PAUSED_H2_UPGRADE: refuse(h, 505, "HTTP/2 is not spoken here"); break;
    default: refuse(h, 400, reason);
  }
}
