/* SPDX-License-Identifier: MIT
 *
 * A request as a script asks for it, read and checked: a table becomes a round trip. Every function here may raise.
 */
#ifndef GL_CLIENT_OUTGOING_H
#define GL_CLIENT_OUTGOING_H

#include "transport/roundtrip.h"

/* Makes a round trip of the table at index 1, claims it (gl_pool_claim), and returns the pool. Much is left on the stack; the body is at
 * index 2, and if that is a string, the caller keeps it until the round trip is over. */
gl_pool *gl_outgoing_read(lua_State *L);

/* Returns the trailers of the list at idx ("name", "value", ...), in memory that is valid until the next call of Lua. Refuses the names
 * of fields that frame a message or steer its connection. */
gl_fields gl_outgoing_trailers(lua_State *L, int idx);

#endif
