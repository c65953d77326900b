/* SPDX-License-Identifier: MIT
 *
 * The head of one request or response, as it arrives piece by piece, and why it is refused. Plain C: no Lua, no loop. start_line.h reads
 * the first line, llhttp in strict mode reads the header lines, and rules.h checks the rules that concern the head as a whole; reader.h
 * calls all three.
 */
#ifndef GL_H1_HEAD_H
#define GL_H1_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

/* Limits of a head, all finite. */
typedef struct gl_head_limits {
  uint32_t target;  /* bytes of the request target, at most; else 414 */
  uint32_t bytes;   /* bytes of the whole head, at most; else 431 */
  uint32_t fields;  /* header lines, at most; else 431 */
  bool drop_underscores; /* header lines with a _ in the name are left out (see rules.c) */
} gl_head_limits;

#define GL_LINE_DONE 15    /* gl_head.line: the first line is complete */
#define GL_METHOD_MAX 32   /* bytes of a method's name, at most */
#define GL_MINOR_HTTP2 2   /* gl_head.minor: the message is of HTTP/2, which can all that HTTP/1.1 can */
#define GL_METHOD_OTHER 47 /* a number beside llhttp's, for all methods that llhttp does not know */

/* Bits of gl_head.target_has: the path of the target contains the character; GL_TARGET_HASH: the path or the query contains it. */
#define GL_TARGET_ESCAPE 0x01    /* '%' */
#define GL_TARGET_DOT 0x02       /* '.' */
#define GL_TARGET_BACKSLASH 0x04
#define GL_TARGET_HASH 0x08

/* One header line, by places in gl_head.text. Names are in lower case, values are trimmed. */
typedef struct gl_field {
  uint32_t name, name_len, value, value_len;
} gl_field;

typedef struct gl_head {
  struct gl_head *next; /* for a list of heads that are not in use */
  char *text;           /* owned; the target (a response: the reason), then names and values, back to back */
  gl_field *fields;     /* owned; the header lines */
  uint32_t cap, fields_cap; /* bytes and header lines for which there is room */
  uint32_t len;         /* bytes of `text`; gl_head_clear zeroes the members from here to method_len */
  uint32_t target_len;  /* bytes of the target, or of the reason */
  uint32_t path_len;    /* request: bytes of the target before '?' */
  uint32_t nfields;     /* header lines */
  uint32_t raw;         /* bytes of the head that have arrived */
  const char *refuse_reason; /* why the head is refused, a static text */
  uint64_t content_length; /* bytes of the body, if it is not chunked; has_length without has_body: what was announced */
  uint16_t refuse_status; /* the status with which a server refuses the head; 0 = it is not refused */
  uint16_t status;      /* response: the status */
  uint8_t target_has;   /* request: bits GL_TARGET_... */
  uint8_t method;       /* request: llhttp_method_t, or GL_METHOD_OTHER */
  uint8_t minor;        /* HTTP/1.minor, 0 or 1; or GL_MINOR_HTTP2 */
  uint8_t line;         /* the place in the first line, up to GL_LINE_DONE */
  char last;            /* the last byte of the header lines that have arrived */
  bool in_value;        /* the last span was part of a value */
  bool keep_alive, chunked, upgrade, expect_continue, has_body;
  bool tunnel;          /* request of HTTP/2: an extended CONNECT for a WebSocket (RFC 8441), which `method` has as the GET that it is in HTTP/1 */
  bool has_length;      /* response: Content-Length is there; of a response to HEAD it says what GET would get */
  bool until_close;     /* response: the body has no length and ends with the connection */
  uint8_t method_len;   /* bytes of `method_name` */
  char method_name[GL_METHOD_MAX];
} gl_head;

/* Empties a head for the next message, and keeps its memory. */
void gl_head_clear(gl_head *h);

/* Frees a head, which is not NULL, and its memory. */
void gl_head_free(gl_head *h);

/* Appends bytes to the text, or a span of a name or of a value as llhttp finds it. Returns 0, or -1: the head is refused, because it
 * exceeds a limit or memory is out. */
int gl_head_add(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n);
int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Checks raw bytes of the header lines for faults that llhttp accepts: lines must end in CRLF, and no line may be folded. Counts the bytes.
 * Returns 0, or -1: the head is refused. */
int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n);

/* Returns what is wrong with the ends of lines in these bytes, behind a byte `before`, a static text. NULL: nothing. */
const char *gl_head_bad_line(char before, const char *at, size_t n);

/* Refuses the head with a status and a reason (a static text), unless it is refused already. Returns -1. */
int gl_head_refuse(gl_head *h, uint16_t status, const char *reason);

#endif
