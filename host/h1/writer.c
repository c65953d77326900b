/* SPDX-License-Identifier: MIT */
#include "h1/writer.h"

#include "h1/status.h"

char *gl_h1_put_other_status(char *to, int status) {
  const char *reason = gl_status_reason(status);
  to = GL_PUT(to, "HTTP/1.1 ");
  to = gl_h1_put_number(to, (uint64_t)status);
  *to++ = ' ';
  to = gl_put(to, reason, strlen(reason));
  return GL_PUT(to, "\r\n");
}

char *gl_h1_put_request_line(char *to, gl_text method, gl_text target) {
  to = gl_put(to, method.at, gl_text_len(method));
  *to++ = ' ';
  to = gl_put(to, target.at, gl_text_len(target));
  return GL_PUT(to, " HTTP/1.1\r\n");
}

char *gl_h1_put_field(char *to, const char *name, size_t name_len, const char *value, size_t value_len) {
  to = gl_put(to, name, name_len);
  to = GL_PUT(to, ": ");
  to = gl_put(to, value, value_len);
  return GL_PUT(to, "\r\n");
}

char *gl_h1_put_chunk_size(char *to, size_t n) {
  char digits[16], *d = digits + sizeof digits;
  do *--d = "0123456789abcdef"[n % 16];
  while (n /= 16);
  to = gl_put(to, d, (size_t)(digits + sizeof digits - d));
  return GL_PUT(to, "\r\n");
}

char *gl_h1_put_date(char *to, gl_h1_date *date) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date->second) {
    struct tm tm;
    gmtime_r(&now.tv_sec, &tm);
    date->second = now.tv_sec;
    strftime(date->line, sizeof date->line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
  }
  return gl_put(to, date->line, GL_H1_DATE);
}
