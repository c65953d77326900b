/* SPDX-License-Identifier: MIT
 *
 * What the function of a streamed response writes with: out:write(bytes).
 */
#ifndef GL_WEB_WRITER_H
#define GL_WEB_WRITER_H

#include "web/call.h"

/* Pushes a writer for the exchange, whose request is at 1. */
void gl_writer_push(lua_State *L, gl_exchange *x);

/* Registers the metatable. */
void gl_writer_class(lua_State *L);

#endif
