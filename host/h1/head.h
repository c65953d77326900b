/* SPDX-License-Identifier: MIT
 *
 * The head of one message as it arrives, piece by piece: a request's or a response's, and what is wrong with it. Plain C.
 * Its first line is read by start_line.h, the grammar of the header lines is llhttp's in strict mode, and rules.h checks
 * what takes more than one line to see; reader.h puts them together.
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

#define GL_LINE_DONE 15    /* gl_head.line: the first line is complete */
#define GL_METHOD_MAX 32   /* bytes of a method's name */
#define GL_METHOD_OTHER 47 /* beside llhttp's: a method it does not know */

/* What gl_head.target_has says of a target: that of these a character is in its path; of '#', that one is in all of it. */
#define GL_TARGET_ESCAPE 0x01    /* '%' */
#define GL_TARGET_DOT 0x02       /* '.' */
#define GL_TARGET_BACKSLASH 0x04
#define GL_TARGET_HASH 0x08

/* One header line, as places in the text. Names are in lower case, values trimmed. */
typedef struct gl_field {
  uint32_t name, name_len, value, value_len;
} gl_field;

typedef struct gl_head {
  struct gl_head *next; /* for a list of spares */
  char *text;           /* target, then names and values, back to back */
  gl_field *fields;
  uint32_t cap, fields_cap;
  uint32_t len;         /* from here on, gl_head_clear zeroes what a message leaves */
  uint32_t target_len;
  uint32_t path_len;    /* of a request's target before '?' */
  uint32_t nfields;
  uint32_t raw;         /* bytes of the head seen so far */
  const char *refuse_reason; /* why the head is refused */
  uint64_t content_length; /* when has_body and not chunked */
  uint16_t refuse_status; /* what a server answers then; 0 = nothing is wrong so far */
  uint16_t status;      /* a response's */
  uint8_t target_has;   /* a request's: GL_TARGET_... */
  uint8_t method;       /* a request's: llhttp_method_t, or GL_METHOD_OTHER */
  uint8_t minor;        /* HTTP/1.minor, 0 or 1 */
  uint8_t line;         /* how far the first line is read, up to GL_LINE_DONE */
  char last;            /* byte of the header lines seen so far */
  bool in_value;        /* the last span was a value */
  bool keep_alive, chunked, upgrade, expect_continue, has_body;
  bool until_close;     /* a response's body of unknown length ends with the connection */
  uint8_t method_len;   /* bytes of: */
  char method_name[GL_METHOD_MAX];
} gl_head;

/* Empty it for the next request; keeps its memory. */
void gl_head_clear(gl_head *h);
void gl_head_free(gl_head *h);

/* Appends bytes to the text, or a span of a name or a value as llhttp finds it. 0, or -1 with the head refused. */
int gl_head_add(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Look at raw bytes of the header lines, for what llhttp lets pass: line ends must be CRLF, nothing may be folded. */
int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* What is wrong with the ends of lines in these bytes, of which the one before was `before`; NULL = nothing. */
const char *gl_head_bad_line(char before, const char *at, size_t n);

/* Refuses the head, unless it is refused already: what a server answers, and why. Returns -1. */
int gl_head_refuse(gl_head *h, uint16_t status, const char *reason);

#endif
