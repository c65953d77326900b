/* SPDX-License-Identifier: MIT
 *
 * What the halves of the JSON decoder share: its state, its errors, and the strings (decode_string.c) that values and names are.
 */
#ifndef GL_JSON_DECODER_H
#define GL_JSON_DECODER_H

#include "json/json.h"

#define GL_DECODER_OP "json.decode"
#define GL_DECODER_STEP 16384 /* bytes between two looks at whether a slice is used up */
#define GL_DECODER_NAMES 32        /* names of members that are kept: rows have the same ones, and interning them is a third of the work */

/* An array or object that is being read: its slot on the Lua stack, nil or the table, and above it what is not yet in that. */
typedef struct gl_decoder_level {
  int slot;
  int pending;      /* values, and as many keys when it is an object */
  lua_Integer done; /* values in the table */
  lua_Integer last; /* how many the last object at this depth had: rows are alike, so this one will have as many */
  bool object;
} gl_decoder_level;

/* A name that was read, as it stands in the text. */
typedef struct gl_decoder_known {
  const char *at;
  size_t n;
} gl_decoder_known;

typedef struct gl_decoder {
  lua_State *L;
  const char *text, *end, *look; /* `look`: from here on, look whether a slice is used up */
  gl_decoder_level *levels, *now;
  int depth, deepest;
  int slots; /* stack index for `levels` when they are more than SHALLOW; behind it the metatable of arrays, once needed */
  int room;  /* stack slots that may be pushed */
  gl_json_text unescaped;
  gl_decoder_known *names; /* NULL: none are kept */
  int strings; /* stack index of the first's string */
} gl_decoder;

/* Raises EJSON: `fault`, with the line, the column and the position of `at`. Never returns. */
void gl_decoder_fail(gl_decoder *d, const char *at, const char *fault);

/* Raises that something else was expected than what is at `at`. Never returns. */
void gl_decoder_fail_found(gl_decoder *d, const char *at, const char *expected);

/* Makes way for other tasks if a slice is used up; `at` is where the decoder is. Call when `at` has reached d->look. */
void gl_decoder_look(gl_decoder *d, const char *at);

/* Pushes the string whose text begins at `p`, behind the quote; returns what is behind its other quote. */
const char *gl_decoder_string(gl_decoder *d, const char *p);

/* The same for the name of a member: the names that were read last are not made again. */
const char *gl_decoder_name(gl_decoder *d, const char *p);

#endif
