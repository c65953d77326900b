/* SPDX-License-Identifier: MIT
 *
 * JSON (RFC 8259) to Lua values and back. Handlers read and answer JSON, so that both directions are part of the request path.
 *
 *     null             json.null, a light userdata that is NULL
 *     whole numbers    integers where 64 bits hold them, floats else; every number with a point or an exponent is a float
 *     arrays           tables with the metatable of json.array, so that an empty array stays an array
 *     objects          tables; of members with the same name the last one counts
 *
 * Tables are read raw: no metamethod runs. Both directions make way for other tasks when a slice is used up, by parking; their callers
 * must check again afterwards whatever another task may have changed.
 */
#ifndef GL_JSON_JSON_H
#define GL_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define GL_JSON_DEPTH 1000 /* arrays and objects within each other, at most */

/* Text that is being written, on the caller's C stack. */
typedef struct gl_json_text {
  char *start, *at, *end; /* the text is from `start` to `at`, its memory ends at `end` */
  int slot;         /* stack index of the userdata with the memory of a text that `first` cannot hold */
  char first[1024]; /* the memory of a short text */
} gl_json_text;

/* Encodes the value at the top of the stack into `text`, text->at - text->start bytes from text->start on, and pushes a value that
 * keeps these alive. `replace`: invalid UTF-8 becomes U+FFFD. May park. Raises EJSON, with `path`, for a value that JSON cannot
 * express, what gl_preempt_check raises, and when memory is out. */
void gl_json_encode(lua_State *L, gl_json_text *text, bool replace);

/* Ends the use of the text, whose memory the next one may use. Raises nothing. */
void gl_json_done(lua_State *L, gl_json_text *text);

/* Decodes a text of `n` bytes, with a NUL behind them, and pushes its value. The caller keeps the text alive, also while the decoder
 * parks. Raises EJSON, with `position` (a byte), `line` and `column`, what gl_preempt_check raises, and when memory is out. */
void gl_json_decode(lua_State *L, const char *text, size_t n);

/* Pushes the metatable of arrays. */
void gl_json_push_array(lua_State *L);

/* Does the table at `idx` have a metatable whose __jsontype is "array", as other JSON libraries mark their arrays? */
bool gl_json_says_array(lua_State *L, int idx);

/* Pushes the Lua module green.json and returns 1. */
int luaopen_green_json(lua_State *L);

#endif
