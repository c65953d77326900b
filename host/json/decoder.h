/* SPDX-License-Identifier: MIT
 *
 * The state of the JSON decoder, which its two halves share: decode.c reads values, decode_string.c reads strings and raises errors.
 */
#ifndef GL_JSON_DECODER_H
#define GL_JSON_DECODER_H

#include "json/json.h"

#define GL_DECODER_OP "json.decode"
#define GL_DECODER_STEP 16384 /* bytes between two checks whether the slice is used up */
#define GL_DECODER_NAMES 32   /* names of members whose strings are kept: rows share their names, and interning is a third of the work */

/* An array or object that is being read. Its slot on the Lua stack has the table, or nil until the table's size is known; above the
 * slot are the values that are not in the table yet. */
typedef struct gl_decoder_level {
  int slot;         /* stack index */
  int pending;      /* values above the slot; in an object each has its key below it */
  lua_Integer done; /* values in the table */
  lua_Integer last; /* members of the last object at this depth: rows are alike, so that this one probably has as many */
  bool object;      /* else an array */
} gl_decoder_level;

/* A name that was read, by its place in the text. */
typedef struct gl_decoder_known {
  const char *at;
  size_t n;
} gl_decoder_known;

typedef struct gl_decoder {
  lua_State *L;
  const char *text, *end;
  const char *look;         /* a decoder that gets here checks whether the slice is used up */
  gl_decoder_level *levels; /* from the outermost on; on the C stack, or in Lua's memory when they are more than SHALLOW */
  gl_decoder_level *now;    /* the innermost; NULL: none */
  int depth;                /* levels in use */
  int deepest;              /* levels that were in use, so that their `last` is set */
  int slots; /* stack index of the memory of `levels`, between that of `unescaped` and the metatable of arrays, nil until it is needed */
  int room;  /* stack slots that may be pushed without another luaL_checkstack */
  gl_json_text unescaped;   /* a string with escapes, as it is put together */
  gl_decoder_known *names;  /* GL_DECODER_NAMES of them; NULL: the text is too short to keep any */
  int strings; /* stack index of the string of names[0]; the others follow */
} gl_decoder;

/* Raises EJSON with the text `fault`, and with the line, the column and the position of `at`. Never returns. */
void gl_decoder_fail(gl_decoder *d, const char *at, const char *fault);

/* Raises EJSON: `expected` should be at `at`, and the error names the character that is there. Never returns. */
void gl_decoder_fail_found(gl_decoder *d, const char *at, const char *expected);

/* Makes way for other tasks if the slice is used up; call when `at`, the place of the decoder, has reached d->look. May park; raises
 * what gl_preempt_check raises. */
void gl_decoder_look(gl_decoder *d, const char *at);

/* Pushes the string whose text begins at `p`, behind the opening quote; returns the place behind the closing quote. Raises EJSON. */
const char *gl_decoder_string(gl_decoder *d, const char *p);

/* Does the same for the name of a member, but pushes the string that is kept if the name is one of those read last. */
const char *gl_decoder_name(gl_decoder *d, const char *p);

#endif
