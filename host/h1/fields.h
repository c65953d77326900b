/* SPDX-License-Identifier: MIT
 *
 * What header fields are made of (RFC 9110, 5.6), and cookies, dates, ranges and forms beside them. Plain C: no Lua.
 *
 * A gl_text is both a piece of text and a place in it: a gl_take_... function takes what it is named for from the front
 * and moves `at` behind it, or says no and leaves it where it was. Each looks at no byte more than a few times, whatever the bytes
 * are: they come from outside.
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

/* Tells whether the text is `word`, or the other text, without regard to case. */
bool gl_text_is(gl_text t, const char *word);
bool gl_text_equals(gl_text a, gl_text b);

/* The text without blanks and tabs around it. */
gl_text gl_text_trim(gl_text t);

bool gl_is_token_char(char c);
bool gl_take_token(gl_text *s, gl_text *token);

/* How a backslash within quotes is read. */
typedef enum gl_quoting {
  GL_QUOTING_RFC,    /* RFC 9110: the next character is meant as it is */
  GL_QUOTING_MARKS,  /* the same, before a quote or a backslash only: names of files from other systems */
  GL_QUOTING_NONE,   /* HTML: as any other character */
} gl_quoting;

/* The same without its backslashes, into `out` (as large as it). Returns how many bytes that are. */
size_t gl_unquote(gl_text inside, gl_quoting quoting, char *out);

/* The next element of a comma list, trimmed and not empty. Commas within quotes separate nothing. */
bool gl_take_element(gl_text *list, gl_text *element);

typedef struct gl_parameter {
  gl_text name, value;
  bool quoted; /* the value is what was between quotes */
} gl_parameter;

/* The next of `; name=value; name="value"`. 1: here it is; 0: there is none any more; -1: that is no parameter. */
int gl_take_parameter(gl_text *s, gl_quoting quoting, gl_parameter *p);

/* How much a field like Accept or Accept-Encoding wants `what` ("gzip", "text/html"): 0 to 1000, and -1 when it says nothing
 * about it, not even with an asterisk. What is no element of such a list is passed over. */
int gl_field_quality(gl_text field, const char *what);

/* Is the entity tag ("..." or W/"...") in a list like If-Match, or is that an asterisk? `strong`: weak ones equal nothing. */
bool gl_field_has_tag(gl_text field, gl_text tag, bool strong);

typedef struct gl_range {
  int64_t first, last;
} gl_range;

/* The byte ranges a Range field asks for of `size` bytes, those that are past its end left out. 0: none is left. -1: the field
 * is to be ignored: it is malformed, of another unit, wants more than `max` ranges or more bytes than there are. */
int gl_field_ranges(gl_text field, int64_t size, gl_range *ranges, int max);

/* A date in one of the three forms of RFC 9110, 5.6.7, as seconds since 1970. */
bool gl_field_date(gl_text field, int64_t *seconds);

/* The next cookie of a Cookie field (RFC 6265, 5.4); what is none is passed over. */
bool gl_take_cookie(gl_text *s, gl_text *name, gl_text *value);

/* The next `name=value` of a form, still encoded; empty ones are passed over. */
bool gl_take_pair(gl_text *s, gl_text *name, gl_text *value);

/* The next header line of a head, which ends in CRLF; the value is trimmed. 1, 0 at the end, -1: that is no header line. */
int gl_take_line(gl_text *s, gl_text *name, gl_text *value);

/* Percent-decodes into `out` (as large as it), a plus as a blank. Returns how many bytes that are; -1: an invalid escape. */
long gl_form_decode(gl_text t, char *out);

#endif
