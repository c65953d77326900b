/* SPDX-License-Identifier: MIT
 *
 * The result of a round trip as Lua values: its response, or its error. Each function may raise without memory.
 */
#ifndef GL_CLIENT_ANSWER_H
#define GL_CLIENT_ANSWER_H

#include "transport/roundtrip.h"

/* Pushes the response without its body, with `trailers` = { fields, repeated or nil } if there are some, and a table of the field names that came more than once (name -> values in order), or nil. */
void gl_answer_push(lua_State *L, const gl_roundtrip *rt);

/* Pushes trailers by name (of a name that comes twice, the first value), and the table of repeated ones, or nil. Those that may be no
 * trailers are left out, so that no script takes them for headers. */
void gl_answer_push_trailers(lua_State *L, const gl_head *trailers);

/* Raises the error by which the round trip failed: { code, message, op, phase, sent }, and if a proxy refused a tunnel, its
 * `response`: { status, headers, body }, of the body only the beginning. Never returns. */
int gl_answer_raise(lua_State *L, const gl_roundtrip *rt);

#endif
