/* SPDX-License-Identifier: MIT
 *
 * What a script asks for, read and checked: a table becomes an origin and what is sent there. Everything here may raise.
 */
#ifndef GL_TRANSPORT_OUTGOING_H
#define GL_TRANSPORT_OUTGOING_H

#include "transport/roundtrip.h"

/* Reads the table at index 1 and claims an origin for it (gl_pool_claim), last of all. What `out` points to is kept by the table
 * and by the stack, on which much is left, the body at 2. Returns the pool. */
gl_pool *gl_outgoing_read(lua_State *L, gl_roundtrip_spec *out);

/* The field lines of the list at idx ("name", "value", ...) as they are sent; pushes them. Refuses by name what is framing. */
const char *gl_outgoing_fields(lua_State *L, int idx, size_t *len);

#endif
