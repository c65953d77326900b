/* SPDX-License-Identifier: MIT
 *
 * The head of one HTTP/1 request as it is read (RFC 9112), piece by piece, and what is wrong with it. Plain C: the request
 * line is read here, since a method may be any token; llhttp in strict mode does the grammar of the header lines; the checks
 * that need more than one of them are here again.
 */
#ifndef GL_H1_HEAD_H
#define GL_H1_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

/* Finite limits of a head. */
typedef struct gl_head_limits {
  uint32_t target;  /* bytes of the request target: 414 beyond */
  uint32_t bytes;   /* of the whole head: 431 beyond */
  uint32_t fields;  /* header lines: 431 beyond */
  bool drop_underscores; /* header lines with a _ in the name are left out */
} gl_head_limits;

#define GL_METHOD_MAX 32   /* bytes of a method's name */
#define GL_METHOD_OTHER 47 /* beside llhttp's: a method it does not know */

/* One header line, as places in the text. Names are in lower case, values trimmed. */
typedef struct gl_field {
  uint32_t name, name_len, value, value_len;
} gl_field;

typedef struct gl_head {
  struct gl_head *next; /* for a list of spares */
  char *text;           /* target, then names and values, back to back */
  gl_field *fields;
  uint32_t len, cap;
  uint32_t target_len;
  uint32_t nfields, fields_cap;
  uint32_t raw;         /* bytes of the head seen so far */
  uint16_t status;      /* what to answer when it is refused; 0 = fine so far */
  const char *reason;   /* and why */
  uint8_t method;       /* llhttp_method_t, or GL_METHOD_OTHER */
  uint8_t minor;        /* HTTP/1.minor, 0 or 1 */
  uint8_t line;         /* how far the request line is read (head.c) */
  uint8_t method_len;
  char method_name[GL_METHOD_MAX];
  char last;            /* byte of the header lines seen so far */
  bool in_value;        /* the last span was a value */
  bool keep_alive, chunked, upgrade, expect_continue, has_body;
  uint64_t content_length; /* when has_body and not chunked */
} gl_head;

/* Empty it for the next request; keeps its memory. */
void gl_head_clear(gl_head *h);
void gl_head_free(gl_head *h);

/* Reads on in the request line; returns how many of the bytes belong to it. */
size_t gl_head_line(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
bool gl_head_has_line(const gl_head *h);

/* Appending, from llhttp's spans. 0, or -1 with status and reason set. */
int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Look at raw bytes of the header lines, for what llhttp lets pass: line ends must be CRLF, nothing may be folded. */
int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* What is wrong with the ends of lines in these bytes, of which the one before was `before`; NULL = nothing. */
const char *gl_head_bad_line(char before, const char *at, size_t n);

/* All lines are there: take the parser's view of it, and check the whole. 0, or -1 with status and reason. */
int gl_head_complete(gl_head *h, const gl_head_limits *max, llhttp_t *parser);

/* What to answer to an error of the parser while it read the header lines. */
void gl_head_refuse(gl_head *h, const llhttp_t *parser);

#endif
