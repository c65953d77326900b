/* SPDX-License-Identifier: MIT
 *
 * A request as a script asks for it, read and checked: a table becomes an origin and the bytes to send. Every function here may raise.
 */
#ifndef GL_CLIENT_OUTGOING_H
#define GL_CLIENT_OUTGOING_H

#include "transport/roundtrip.h"

/* Reads the table at index 1 into `out`, claims the origin (gl_pool_claim) last of all, and returns the pool. The table and the stack
 * keep the strings that `out` points to: much is left on the stack, the body at index 2. */
gl_pool *gl_outgoing_read(lua_State *L, gl_roundtrip_spec *out);

/* Pushes and returns the field lines of the list at idx ("name", "value", ...) as they are sent. Refuses the names of fields that
 * frame a message or steer its connection. */
const char *gl_outgoing_fields(lua_State *L, int idx, size_t *len);

#endif
