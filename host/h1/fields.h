/* SPDX-License-Identifier: MIT
 *
 * Parsers for the parts of header fields (RFC 9110, 5.6), and for cookies, dates, ranges and forms. Plain C: no Lua; nothing here
 * allocates.
 *
 * A gl_text is both a piece of text and a place in it: a gl_take_... function reads the thing of its name at the front and moves `at`
 * behind it, or returns false and leaves `at` where it was. The results are places in the same text. Since the bytes come from outside,
 * every function reads each byte a few times at most, whatever the bytes are.
 */
#ifndef GL_H1_FIELDS_H
#define GL_H1_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gl_text {
  const char *at, *end;
} gl_text;

static inline gl_text gl_text_of(const char *at, size_t n) { return (gl_text){at, at + n}; }
static inline size_t gl_text_len(gl_text t) { return (size_t)(t.end - t.at); }

/* Is the text `word`, or the other text, without regard to case? */
bool gl_text_is(gl_text t, const char *word);
bool gl_text_equals(gl_text a, gl_text b);

/* Returns the text without the blanks and tabs around it. */
gl_text gl_text_trim(gl_text t);

/* May the character be in a token (RFC 9110, 5.6.2)? */
bool gl_is_token_char(char c);

/* May a field of this name, in any case, follow a body as a trailer? Fields that frame, route or describe the message may not (RFC 9110,
 * 6.5.1): they must be known before. */
bool gl_field_may_trail(const char *name, size_t n);

/* Takes the character, or the bytes of the word. False: something else comes, and nothing was taken. */
bool gl_take_char(gl_text *s, char c);
bool gl_take_word(gl_text *s, const char *word);

/* Takes a token. */
bool gl_take_token(gl_text *s, gl_text *token);

/* The meaning of a backslash within quotes. */
typedef enum gl_quoting {
  GL_QUOTING_RFC,    /* RFC 9110: the next character stands for itself */
  GL_QUOTING_MARKS,  /* a quote or a backslash behind it stands for itself; else it is a character: file names of other systems have it */
  GL_QUOTING_NONE,   /* HTML: the backslash is a character as any other */
} gl_quoting;

/* Copies the inside of a quoted string without the backslashes that quote, to `out`, which is as large as `inside`. Returns the number of
 * bytes. */
size_t gl_unquote(gl_text inside, gl_quoting quoting, char *out);

/* Takes the next element of a comma list, trimmed and not empty. Commas within quotes separate nothing. */
bool gl_take_element(gl_text *list, gl_text *element);

typedef struct gl_parameter {
  gl_text name, value;
  bool quoted; /* the value was in quotes; its backslashes are still there */
} gl_parameter;

/* Takes `name=value` or `name="value"`. False: something else comes; some of it may have been taken. */
bool gl_take_name_value(gl_text *s, gl_quoting quoting, gl_parameter *p);

/* Takes the next parameter of `; name=value; name="value"`. Returns 1; 0: the text has ended; -1: something else is there. */
int gl_take_parameter(gl_text *s, gl_quoting quoting, gl_parameter *p);

/* Returns the weight that a field like Accept or Accept-Encoding gives to `what` ("gzip", "text/html"), in thousandths: 0 to 1000. -1: no
 * element names it, not even by an asterisk. Malformed elements are ignored. */
int gl_field_quality(gl_text field, const char *what);

/* Does a list like If-Match contain the entity tag ("..." or W/"..."), or is it an asterisk? `strong`: a weak tag equals no other. */
bool gl_field_has_tag(gl_text field, gl_text tag, bool strong);

typedef struct gl_range {
  int64_t first, last; /* offsets of the first and the last byte */
} gl_range;

/* Writes the byte ranges that a Range field asks for of a body of `size` bytes to `ranges`, and returns their number; ranges behind the
 * end are left out, so that 0 means that the field cannot be satisfied. -1: the field must be ignored, because it is malformed, has another
 * unit, or asks for more than `max` ranges or for more bytes than there are. */
int gl_field_ranges(gl_text field, int64_t size, gl_range *ranges, int max);

/* Reads a date in one of the three forms of RFC 9110, 5.6.7, as seconds since 1970. False: the field is no date. */
bool gl_field_date(gl_text field, int64_t *seconds);

/* Reads a field Keep-Alive: the seconds that a connection may be idle, and the requests that it serves. What the field does not say, or says
 * without a number, keeps its value. */
void gl_field_keep_alive(gl_text field, uint32_t *seconds, uint32_t *requests);

/* Takes the next cookie of a Cookie field (RFC 6265, 5.4); malformed ones are skipped. */
bool gl_take_cookie(gl_text *s, gl_text *name, gl_text *value);

/* Takes the next `name=value` of a form, both still encoded; empty pairs are skipped. */
bool gl_take_pair(gl_text *s, gl_text *name, gl_text *value);

/* Takes the next line, which ends in CRLF, of a head; the value is trimmed. Returns 1; 0: the head has ended; -1: it is no header line. */
int gl_take_line(gl_text *s, gl_text *name, gl_text *value);

/* Decodes percent escapes, and a plus as a blank, to `out`, which is as large as `t`. Returns the number of bytes; -1: an escape is
 * invalid. */
long gl_form_decode(gl_text t, char *out);

#endif
