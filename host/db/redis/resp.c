/* SPDX-License-Identifier: MIT */
#include "db/redis/resp.h"

#include <string.h>

#define BULK_MAX ((int64_t)512 << 20) /* bytes: the limit of Redis itself */
#define COUNT_MAX ((int64_t)1 << 32)

/* Reads a decimal number of `len` characters. False: it is none, or its length is out of any reason. */
static bool read_number(const char *text, size_t len, int64_t *out) {
  bool negative = len && *text == '-';
  uint64_t n = 0;
  size_t i = negative || (len && *text == '+');
  if (i == len || len - i > 19) return false;
  for (; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    n = n * 10 + (uint64_t)(text[i] - '0');
  }
  if (n > (uint64_t)INT64_MAX + negative) return false;
  *out = (int64_t)(negative ? 0 - n : n);
  return true;
}

/* How many values follow the head of an aggregate; 0: the type is of no aggregate. */
static uint64_t values_for_each(char type) {
  switch (type) {
    case '*': case '~': case '>': return 1;
    case '%': case '|': return 2;
    default: return 0;
  }
}

static bool is_bulk(char type) { return type == '$' || type == '!' || type == '='; }
static bool is_line(char type) { return type && strchr("+-:,(#_", type); }

/* The length of the line at r->at, without CR LF. -1: it is not whole; -2: it is none. */
static int64_t line_length(gl_resp *r, const char *bytes, size_t n) {
  const char *from = bytes + r->at, *end = memchr(from + r->seen, '\n', n - r->at - r->seen);
  size_t len = end ? (size_t)(end - from) : n - r->at;
  r->seen = end ? 0 : len;
  if (len > GL_RESP_LINE) return -2;
  if (!end) return -1;
  return len && end[-1] == '\r' ? (int64_t)len - 1 : -2;
}

/* One value is whole: so are the aggregates whose last one it was. True: so is the reply. */
static bool close_value(gl_resp *r) {
  while (r->depth && --r->left[r->depth - 1] == 0) r->depth--;
  return r->depth == 0;
}

/* Looks at the value, or the head of an aggregate, at r->at. Returns 1: there was one and the reply is whole, 0: there was one, -1: it
 * is not whole, -2: it is none. */
static int scan_one(gl_resp *r, const char *bytes, size_t n) {
  const char *from = bytes + r->at;
  int64_t number = 0, len = line_length(r, bytes, n);
  if (len < 0) return (int)len;
  if (len == 0) return -2;
  size_t line = (size_t)len + 2;
  uint64_t each = values_for_each(*from);
  bool bulk = is_bulk(*from);
  if (!each && !bulk && !is_line(*from)) return -2;
  if ((each || bulk || *from == ':') && !read_number(from + 1, (size_t)len - 1, &number)) return -2;
  if (bulk && (number != -1 || *from != '$')) {
    if (number < 0 || number > BULK_MAX) return -2;
    if (n - r->at < line + (size_t)number + 2) return -1;
    if (memcmp(from + line + number, "\r\n", 2) != 0) return -2;
    line += (size_t)number + 2;
  }
  r->at += line;
  if (!each || (number == -1 && *from == '*')) return close_value(r);
  if (number < 0 || number > COUNT_MAX) return -2;
  uint64_t left = (uint64_t)number * each + (*from == '|');
  if (!left) return close_value(r);
  if (r->depth == GL_RESP_DEPTH) return -2;
  r->left[r->depth++] = left;
  return 0;
}

int64_t gl_resp_scan(gl_resp *r, const char *bytes, size_t n) {
  while (r->at < n) {
    int got = scan_one(r, bytes, n);
    if (got == 1) return (int64_t)r->at;
    if (got < 0) return got == -1 ? 0 : -1;
  }
  return 0;
}

gl_resp_head gl_resp_read(const char *bytes, size_t n, size_t *at) {
  const char *from = bytes + *at, *end = memchr(from, '\n', n - *at);
  gl_resp_head head = {.type = *from, .text = from + 1, .len = (size_t)(end - from) - 2, .number = 0};
  if (values_for_each(head.type) || is_bulk(head.type) || head.type == ':') read_number(head.text, head.len, &head.number);
  *at += (size_t)(end - from) + 1;
  return head;
}

const char *gl_resp_bulk(const char *bytes, size_t *at, const gl_resp_head *head) {
  const char *from = bytes + *at;
  *at += (size_t)head->number + 2;
  return from;
}
