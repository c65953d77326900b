/* SPDX-License-Identifier: MIT
 *
 * The writer that the function of a streamed response gets: out:write(bytes).
 */
#ifndef GL_WEB_WRITER_H
#define GL_WEB_WRITER_H

#include "web/call.h"

/* Pushes a writer for the exchange, whose request is at index 1. Raises without memory. */
void gl_writer_push(lua_State *L, gl_exchange *x);

/* Creates the metatable; call before any writer is pushed. */
void gl_writer_class(lua_State *L);

#endif
