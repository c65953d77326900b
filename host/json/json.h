/* SPDX-License-Identifier: MIT
 *
 * JSON (RFC 8259) to Lua values and back: what handlers answer and read, so it is part of the request path.
 *
 *     null             json.null, a light userdata that is NULL
 *     whole numbers    integers where 64 bits hold them, floats else; whatever has a point or an exponent is a float
 *     arrays           tables with the metatable of json.array, so that they stay arrays when they are empty
 *     objects          tables; of members with the same name the last one counts
 *
 * Tables are read raw: no metamethod runs. Both directions make way for other tasks when a slice is used up, by parking;
 * whoever calls them looks again at what he looked at before.
 */
#ifndef GL_JSON_JSON_H
#define GL_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define GL_JSON_DEPTH 1000 /* arrays and objects within each other, at most */

/* Text that is being written: in here while it is short, in memory of Lua's beyond. On the caller's C stack. */
typedef struct gl_json_text {
  char *start, *at, *end;
  int slot; /* stack index of what holds it when it is long */
  char first[1024];
} gl_json_text;

/* Writes the value at the top of the stack. The text is behind text->start, text->at - text->start bytes; the value that is
 * pushed keeps it alive. Raises EJSON, with `path`, for what JSON cannot say, and what gl_preempt_check raises. `replace`:
 * invalid UTF-8 becomes U+FFFD. */
void gl_json_encode(lua_State *L, gl_json_text *text, bool replace);

/* The text is not needed any more: what it used may be used again. Raises nothing. */
void gl_json_done(lua_State *L, gl_json_text *text);

/* Pushes the value of a text, which somebody keeps alive, and behind which there is a NUL. Raises EJSON, with `position` (a
 * byte), `line` and `column`. */
void gl_json_decode(lua_State *L, const char *text, size_t n);

/* Pushes the metatable of arrays. */
void gl_json_push_array(lua_State *L);

/* Does the table at `idx` have a metatable of its own that says it is an array: __jsontype = "array"? */
bool gl_json_says_array(lua_State *L, int idx);

/* green.json */
int luaopen_green_json(lua_State *L);

#endif
