/* SPDX-License-Identifier: MIT
 *
 * Reads HTTP/1.1 SP 200 SP reason CRLF. The reason may be missing, and so may the blank before it: some servers leave both out. The reason
 * is the beginning of gl_head.text, as the target of a request is.
 */
#include <string.h>

#include "h1/start_line.h"

enum { REASON_NEXT = 12, REASON, LINE_FEED = GL_LINE_DONE - 1 };

static const char pattern[] = "HTTP/d.d ddd"; /* d: a digit */

_Static_assert(sizeof pattern - 1 == REASON_NEXT && REASON < LINE_FEED, "places of a status line");

static void malformed(gl_head *h) {
  gl_head_refuse(h, 502, h->line < 7 ? "it does not begin with HTTP/1" : h->line < 9 ? "malformed HTTP version" : "malformed status line");
}

/* Reads a digit of the version or of the status. A response of a later minor version is read as one of 1.1 (RFC 9110, 2.5). */
static void take_digit(gl_head *h, int place, int digit) {
  if (place == 5 && digit != 1) gl_head_refuse(h, 502, "HTTP version not supported");
  else if (place == 7) h->minor = digit > 0;
  else if (place == 9 && digit < 1) malformed(h); /* a first digit above 5 is read as 5 is (RFC 9110, 15) */
  else if (place >= 9) h->status = (uint16_t)(10 * h->status + digit);
}

static bool is_reason(char c) { return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t'; }

static void take_reason(gl_head *h, const gl_head_limits *max, char c) {
  if (!is_reason(c)) malformed(h);
  else if (gl_head_add(h, max, &c, 1) == 0) h->target_len++;
}

static void take_byte(gl_head *h, const gl_head_limits *max, char c) {
  if (h->line < REASON_NEXT) {
    bool digit = pattern[h->line] == 'd';
    if (digit ? c < '0' || c > '9' : c != pattern[h->line]) malformed(h);
    else if (digit) take_digit(h, h->line, c - '0');
    h->line++;
  } else if (h->line == LINE_FEED) {
    if (c != '\n') malformed(h);
    h->line = GL_LINE_DONE;
  } else if (c == '\r') {
    h->line = LINE_FEED;
  } else if (h->line == REASON) {
    take_reason(h, max, c);
  } else {
    if (c != ' ') malformed(h);
    h->line = REASON;
  }
}

size_t gl_status_line_read(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  size_t used = 0;
  while (used < n && h->line != GL_LINE_DONE && !h->refuse_status) take_byte(h, max, at[used++]);
  h->raw += (uint32_t)used;
  h->last = '\n';
  if (h->raw > max->bytes) gl_head_refuse(h, 431, "the status line is too long");
  return used;
}
