/* SPDX-License-Identifier: MIT
 *
 * Writes heads and chunks of HTTP/1 messages into memory that the caller has made large enough. Each function writes at `to` and returns
 * the place for the next byte. No Lua, no loop.
 */
#ifndef GL_H1_WRITER_H
#define GL_H1_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "h1/fields.h"

#define GL_H1_STATUS_LINE 64 /* bytes of a status line, at most */
#define GL_H1_LENGTH 40      /* bytes of a Content-Length line, at most */
#define GL_H1_DATE 37        /* bytes of a Date line */
#define GL_H1_CHUNK 20       /* bytes of the line before a chunk, at most */

static inline char *gl_put(char *to, const char *text, size_t n) {
  memcpy(to, text, n);
  return to + n;
}
#define GL_PUT(to, literal) gl_put((to), "" literal, sizeof(literal) - 1)

/* Writes a status line with its end, "HTTP/1.1 404 Not Found", in GL_H1_STATUS_LINE bytes at most. */
char *gl_h1_put_other_status(char *to, int status);
static inline char *gl_h1_put_status_line(char *to, int status) {
  return status == 200 ? GL_PUT(to, "HTTP/1.1 200 OK\r\n") : gl_h1_put_other_status(to, status);
}

/* Writes a request line with its end, "GET /path HTTP/1.1": the two texts and 12 bytes more. */
char *gl_h1_put_request_line(char *to, gl_text method, gl_text target);

/* Writes a header line: the two texts and 4 bytes more. */
char *gl_h1_put_field(char *to, const char *name, size_t name_len, const char *value, size_t value_len);

/* Writes a number in decimal, 20 digits at most. */
static inline char *gl_h1_put_number(char *to, uint64_t n) {
  char digits[20], *d = digits + sizeof digits;
  do *--d = (char)('0' + n % 10);
  while (n /= 10);
  while (d < digits + sizeof digits) *to++ = *d++;
  return to;
}

/* Writes the Content-Length line, in GL_H1_LENGTH bytes at most. */
static inline char *gl_h1_put_length(char *to, uint64_t n) {
  to = GL_PUT(to, "Content-Length: ");
  to = gl_h1_put_number(to, n);
  return GL_PUT(to, "\r\n");
}

/* Writes the line before a chunk of `n` > 0 bytes, in GL_H1_CHUNK bytes at most; the caller writes CRLF behind the chunk. */
char *gl_h1_put_chunk_size(char *to, size_t n);

/* The Date line (RFC 9110, 6.6.1), kept because it changes only once a second. Zeroed before its first use. */
typedef struct gl_h1_date {
  time_t second; /* the second for which `line` was made */
  char line[GL_H1_DATE + 1];
} gl_h1_date;

/* Writes the Date line of now, GL_H1_DATE bytes. */
char *gl_h1_put_date(char *to, gl_h1_date *date);

#endif
