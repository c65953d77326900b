/* SPDX-License-Identifier: MIT
 *
 * The writer that the function of a streamed response gets: out:write(bytes).
 */
#ifndef GL_WEB_WRITER_H
#define GL_WEB_WRITER_H

#include "web/call.h"

/* Pushes a writer for the exchange, whose request is at index 1. Raises without memory. */
void gl_writer_push(lua_State *L, gl_exchange *x);

/* write_file(out, file, at, n): sends `n` bytes of an open file from `at` on, as a part of the body, and waits until the kernel has them. Raises as out:write does, and what is wrong with the file: the message is cut then. */
int gl_writer_write_file(lua_State *L);

/* Creates the metatable; call before any writer is pushed. */
void gl_writer_class(lua_State *L);

#endif
