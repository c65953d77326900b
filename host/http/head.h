/* SPDX-License-Identifier: MIT
 *
 * The head of one HTTP/1 request as it is read (RFC 9112), piece by piece, and what is wrong with it. Plain C:
 * llhttp in strict mode does the grammar, the checks that need more than one line are here.
 */
#ifndef GL_HTTP_HEAD_H
#define GL_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

/* Finite limits of a head. */
typedef struct gl_head_limits {
  uint32_t target;  /* bytes of the request target: 414 beyond */
  uint32_t bytes;   /* of the whole head: 431 beyond */
  uint32_t fields;  /* header lines: 431 beyond */
} gl_head_limits;

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
  uint8_t method;       /* llhttp_method_t */
  uint8_t minor;        /* HTTP/1.minor */
  char tail[9];         /* the last bytes seen, so that a line may come in pieces */
  uint32_t line_at;     /* where in the head the request line begins */
  uint32_t line_len;    /* its length with CRLF; 0 = it is not over yet */
  bool in_value;        /* the last span was a value */
  bool keep_alive, chunked, upgrade, expect_continue, has_body;
  uint64_t content_length; /* when has_body and not chunked */
} gl_head;

/* Empty it for the next request; keeps its memory. */
void gl_head_clear(gl_head *h);
void gl_head_free(gl_head *h);

/* Appending, from llhttp's spans. 0, or -1 with status and reason set. */
int gl_head_target(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Look at raw bytes that belong to the head, for what llhttp lets pass: line ends must be CRLF, nothing may be
 * folded, and the protocol is HTTP. */
int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* What is wrong with the ends of lines in these bytes, of which the one before was `before`; NULL = nothing. */
const char *gl_head_bad_line(char before, const char *at, size_t n);

/* All lines are there: take the parser's view of it and check the whole. 0, or -1 with status and reason. */
int gl_head_complete(gl_head *h, const llhttp_t *parser);

/* What to answer to an error of the parser while it read the head. */
void gl_head_refuse(gl_head *h, const llhttp_t *parser, const char *bytes, size_t n);

/* The first header of that (lower-case) name; NULL = none. */
const gl_field *gl_head_find(const gl_head *h, const char *name);

/* Has the comma list in header `name` this token (without regard to case)? */
bool gl_head_has(const gl_head *h, const char *name, const char *token);

#endif
