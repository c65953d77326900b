/* SPDX-License-Identifier: MIT */
#include "h1/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/block.h"
#include "h1/fields.h"

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
  if (h->text) gl_memory_resize(h->text, h->cap, 0);
  if (h->fields) gl_memory_resize(h->fields, h->fields_cap * sizeof *h->fields, 0);
  free(h);
}

/* ---- collecting ---- */

static char *room(gl_head *h, size_t n) {
  if (n <= h->cap - h->len) return h->text + h->len;
  uint32_t cap = h->cap ? h->cap : 512;
  while (cap - h->len < n) cap *= 2; /* bounded: the limits are checked before */
  char *text = gl_memory_resize(h->text, h->cap, cap);
  if (!text) return NULL;
  h->text = text;
  h->cap = cap;
  return text + h->len;
}

static int add(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (n > max->bytes || h->len + n > max->bytes) return refuse(h, 431, "request header fields too large");
  if (!n) return 0;
  char *to = room(h, n);
  if (!to) return refuse(h, 503, "not enough memory");
  memcpy(to, at, n);
  h->len += (uint32_t)n;
  return 0;
}

static int new_field(gl_head *h, const gl_head_limits *max) {
  if (h->nfields == max->fields) return refuse(h, 431, "too many request header fields");
  if (h->nfields == h->fields_cap) {
    uint32_t cap = h->fields_cap ? h->fields_cap * 2 : 16;
    gl_field *fields = gl_memory_resize(h->fields, h->fields_cap * sizeof *fields, cap * sizeof *fields);
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

int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  const char *wrong = gl_head_bad_line(h->last, at, n);
  if (wrong) return refuse(h, 400, wrong);
  h->raw += (uint32_t)n;
  if (h->raw > max->bytes + max->target) return refuse(h, 431, "request header fields too large");
  if (n) h->last = at[n - 1];
  return 0;
}

/* ---- the request line: METHOD SP target SP HTTP/1.1 CRLF ---- */

enum { LINE_START, LINE_EMPTY, LINE_METHOD, LINE_TARGET, LINE_VERSION, LINE_DONE = LINE_VERSION + 10 };

static const char version[] = "HTTP/d.d\r\n"; /* d: a digit */

static uint8_t method_of(const char *name, size_t n) {
#define IS(number, id, text) \
  if (n == sizeof #text - 1 && memcmp(name, #text, n) == 0) return number;
  HTTP_METHOD_MAP(IS)
#undef IS
  return GL_METHOD_OTHER;
}

/* Empty lines may come first (RFC 9112, 2.2). */
static size_t read_start(gl_head *h, const char *at) {
  if (h->line == LINE_EMPTY ? *at != '\n' : *at == '\n') {
    refuse(h, 400, "a line that does not end in CRLF before the request line");
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
    refuse(h, 501, "the method is too long");
    return 0;
  }
  memcpy(h->method_name + h->method_len, at, i);
  h->method_len = (uint8_t)(h->method_len + i);
  if (i == n) return n;
  if (at[i] != ' ' || !h->method_len) {
    refuse(h, 400, "malformed method");
    return 0;
  }
  h->method = method_of(h->method_name, h->method_len);
  h->line = LINE_TARGET;
  return i + 1;
}

static size_t read_target(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  size_t i = 0;
  while (i < n && at[i] > ' ' && at[i] < 0x7f) i++;
  if (h->target_len + i > max->target) {
    refuse(h, 414, "request target too long");
    return 0;
  }
  h->target_len += (uint32_t)i;
  if (add(h, max, at, i) != 0) return 0;
  if (i == n) return n;
  if (at[i] != ' ' || !h->target_len) {
    refuse(h, 400, "malformed request target");
    return 0;
  }
  h->line = LINE_VERSION;
  return i + 1;
}

/* A later minor version is spoken to in 1.1 (RFC 9110, 2.5). */
static void set_version(gl_head *h, int place, int digit) {
  if (place == 7) h->minor = digit > 0;
  else if (digit == 0) refuse(h, 400, "no HTTP version");
  else if (digit > 1) refuse(h, 505, "HTTP version not supported");
}

static size_t read_version(gl_head *h, const char *at, size_t n) {
  if (h->line == LINE_VERSION && n >= 10 && memcmp(at, "HTTP/1.1\r\n", 10) == 0) {
    h->minor = 1;
    h->line = LINE_DONE;
    return 10;
  }
  size_t i = 0;
  for (; i < n && h->line < LINE_DONE && !h->status; i++, h->line++) {
    int place = h->line - LINE_VERSION;
    if (version[place] == 'd' && at[i] >= '0' && at[i] <= '9') set_version(h, place, at[i] - '0');
    else if (version[place] == 'd' || at[i] != version[place]) refuse(h, 400, "malformed HTTP version");
  }
  return i;
}

bool gl_head_has_line(const gl_head *h) { return h->line == LINE_DONE; }

/* What most requests begin with. */
static size_t read_get(gl_head *h) {
  memcpy(h->method_name, "GET", 3);
  h->method_len = 3;
  h->method = HTTP_GET;
  h->line = LINE_TARGET;
  return 4;
}

size_t gl_head_line(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  size_t used = h->line == LINE_START && n >= 4 && memcmp(at, "GET ", 4) == 0 ? read_get(h) : 0;
  while (used < n && h->line < LINE_DONE && !h->status) {
    const char *p = at + used;
    if (h->line <= LINE_EMPTY) used += read_start(h, p);
    else if (h->line == LINE_METHOD) used += read_method(h, p, n - used);
    else if (h->line == LINE_TARGET) used += read_target(h, max, p, n - used);
    else used += read_version(h, p, n - used);
  }
  h->raw += (uint32_t)used;
  h->last = '\n';
  if (h->raw > max->bytes + max->target) refuse(h, 431, "request header fields too large");
  return used;
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

/* In a host (RFC 3986, 3.2.2), but for the comma that joins repeated headers. */
static bool is_host_char(char c) {
  static const bool set[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['%'] = 1, ['!'] = 1,
    ['$'] = 1, ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [';'] = 1, ['='] = 1,
  };
  return set[(uint8_t)c];
}

/* A name or an address, and perhaps a port. */
static bool is_host(const char *p, size_t n) {
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
  if (h->minor == 0) return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
  if (!gl_text_len(coding)) return refuse(h, 400, "an empty Transfer-Encoding");
  if (!gl_text_is(coding, "chunked") || h->chunked) return refuse(h, 501, "a transfer encoding other than chunked");
  h->chunked = true;
  return 0;
}

#define NAMED(f, name) same(h, f, "" name, sizeof(name) - 1)

static int check_field(gl_head *h, const gl_field *f, tally *t) {
  switch (f->name_len) {
    case 0: return refuse(h, 400, "a header line without a name");
    case 4:
      if (!NAMED(f, "host")) return 0;
      t->hosts++;
      return is_host(h->text + f->value, f->value_len) ? 0 : refuse(h, 400, "the Host header is not one host");
    case 6:
      if (!NAMED(f, "expect")) return 0;
      h->expect_continue = h->minor >= 1;
      return gl_text_is(value_of(h, f), "100-continue") ? 0 : refuse(h, 417, "unknown expectation");
    case 10:
      if (NAMED(f, "connection")) read_connection(t, value_of(h, f));
      return 0;
    case 12:
      if (NAMED(f, "content-type") && ++t->types > 1) return refuse(h, 400, "more than one Content-Type header");
      return 0;
    case 17: return NAMED(f, "transfer-encoding") ? read_coding(h, value_of(h, f)) : 0;
    default: return 0;
  }
}

/* One walk over the lines, for what the names alone decide. */
static int check_fields(gl_head *h) {
  tally t = {0};
  for (uint32_t i = 0; i < h->nfields; i++)
    if (check_field(h, &h->fields[i], &t) != 0) return -1;
  if (t.hosts > 1) return refuse(h, 400, "more than one Host header");
  if (t.hosts == 0 && h->minor >= 1) return refuse(h, 400, "no Host header");
  h->keep_alive = !t.close && (h->minor >= 1 || t.keep_alive);
  return 0;
}

/* For whoever hands requests on to what takes `_` for `-`, and with it one header for another. */
static void drop_underscores(gl_head *h) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < h->nfields; i++)
    if (!memchr(h->text + h->fields[i].name, '_', h->fields[i].name_len)) h->fields[kept++] = h->fields[i];
  h->nfields = kept;
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

/* Some take it for a slash. It is in no URI, and behind the query nobody minds. */
static bool has_backslash(const gl_head *h) {
  const char *query = memchr(h->text, '?', h->target_len);
  return memchr(h->text, '\\', query ? (size_t)(query - h->text) : h->target_len) != NULL;
}

/* Origin form, absolute form, and the asterisk for OPTIONS. */
static int check_target(gl_head *h) {
  const char *t = h->text;
  if (memchr(t, '#', h->target_len)) return refuse(h, 400, "the request target has a fragment");
  if (has_backslash(h)) return refuse(h, 400, "the request target has a backslash");
  if (h->target_len && t[0] == '/') return 0;
  if (h->target_len == 1 && t[0] == '*' && h->method == HTTP_OPTIONS) return 0;
  if (h->target_len > 7 && strncasecmp(t, "http://", 7) == 0) return split_url(h, 7);
  if (h->target_len > 8 && strncasecmp(t, "https://", 8) == 0) return split_url(h, 8);
  return refuse(h, 400, "the request target is neither a path nor a URL");
}

int gl_head_complete(gl_head *h, const gl_head_limits *max, llhttp_t *parser) {
  if (h->method == HTTP_CONNECT || h->method == HTTP_TRACE) return refuse(h, 501, "method not implemented");
  trim(h);
  if (max->drop_underscores) drop_underscores(h);
  if (check_fields(h) != 0 || check_target(h) != 0) return -1;
  if (h->chunked) parser->flags |= F_CHUNKED; /* it does not see past a tab */
  else if (parser->flags & F_CHUNKED) return refuse(h, 400, "malformed Transfer-Encoding");
  h->upgrade = parser->upgrade != 0;
  h->content_length = h->chunked ? 0 : parser->content_length;
  h->has_body = h->chunked || h->content_length > 0;
  return 0;
}

void gl_head_refuse(gl_head *h, const llhttp_t *parser) {
  if (!h->status) refuse(h, 400, llhttp_get_error_reason(parser));
}
