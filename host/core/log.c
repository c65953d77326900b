/* SPDX-License-Identifier: MIT */
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/prompt.h"

#define PIECE 4096   /* bytes written at once */
#define ESCAPED 12   /* bytes of the longest escape, with room */

typedef struct out {
  size_t n;
  char bytes[PIECE];
} out;

static void flush(out *o) {
  fwrite(o->bytes, 1, o->n, stderr);
  o->n = 0;
}

static void put(out *o, const char *text, size_t n) {
  if (o->n + n > PIECE) flush(o);
  memcpy(o->bytes + o->n, text, n);
  o->n += n;
}

static void put_control(out *o, unsigned code) {
  char text[ESCAPED];
  int n = code == '\n'   ? snprintf(text, sizeof text, "\\n")
          : code == '\r' ? snprintf(text, sizeof text, "\\r")
          : code == '\t' ? snprintf(text, sizeof text, "\\t")
          : code < 0x80  ? snprintf(text, sizeof text, "\\x%02x", code)
                         : snprintf(text, sizeof text, "\\u{%x}", code);
  put(o, text, (size_t)n);
}

/* The C1 controls U+0080 to U+009F begin with C2 in UTF-8; terminals obey them. */
static bool is_c1(const unsigned char *at, const unsigned char *end) {
  return *at == 0xC2 && at + 1 < end && at[1] >= 0x80 && at[1] <= 0x9F;
}

static void put_text(out *o, const char *text, size_t n, bool lines) {
  const unsigned char *at = (const unsigned char *)text, *end = at + n;
  for (; at < end; at++) {
    if (lines && *at == '\n') put(o, at + 1 < end && at[1] == '\t' ? "\n" : "\n\t", at + 1 < end && at[1] == '\t' ? 1 : 2);
    else if (lines && *at == '\t') put(o, "\t", 1);
    else if (*at < 0x20 || *at == 0x7F) put_control(o, *at);
    else if (is_c1(at, end)) put_control(o, *++at);
    else put(o, (const char *)at, 1);
  }
}

void gl_log_text(const char *text, size_t n, bool lines) {
  out o;
  o.n = 0;
  put_text(&o, text, n, lines);
  flush(&o);
}

static void put_time(out *o) {
  char text[40];
  struct timespec now;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  n += (size_t)snprintf(text + n, sizeof text - n, ".%03dZ ", (int)(now.tv_nsec / 1000000));
  put(o, text, n);
}

static void put_seed(out *o, uint64_t seed) {
  char text[48];
  put(o, text, (size_t)snprintf(text, sizeof text, "\n\t(--shake=%" PRIu64 ")", seed));
}

void gl_log(const gl_host *h, gl_log_level level, const char *subject, const char *message, size_t n, const char *detail) {
  static const char *const levels[] = {"error: ", "warning: ", "info: "};
  out o;
  o.n = 0;
  put_time(&o);
  put(&o, levels[level], strlen(levels[level]));
  put_text(&o, subject, strlen(subject), false);
  put(&o, ": ", 2);
  put_text(&o, message, n, false);
  if (detail) {
    put_text(&o, "\n", 1, true);
    put_text(&o, detail, strlen(detail), true);
  }
  if (h->shake_seed && level == GL_LOG_ERROR) put_seed(&o, h->shake_seed);
  put(&o, "\n", 1);
  gl_prompt_hide(h, true);
  flush(&o);
}
