/* SPDX-License-Identifier: MIT
 *
 * What came of a round trip, as Lua values.
 */
#ifndef GL_TRANSPORT_ANSWER_H
#define GL_TRANSPORT_ANSWER_H

#include "transport/roundtrip.h"

/* Pushes the answer without its body, and the table of names that came more than once (name -> values in order), or nil. */
void gl_answer_push(lua_State *L, const gl_roundtrip *rt);

/* The same two tables for any field lines. */
void gl_answer_push_fields(lua_State *L, const gl_head *h);

/* Raises what the round trip failed of: { code, message, op, phase, sent }. Never returns. */
int gl_answer_raise(lua_State *L, const gl_roundtrip *rt);

#endif
