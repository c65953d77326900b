/* SPDX-License-Identifier: MIT
 *
 * Long strings, copied in pieces between which other tasks may run. What is left whole is the copy that Lua makes of a finished
 * buffer: 0.2 ms for each MB.
 */
#ifndef GL_STDLIB_PIECES_H
#define GL_STDLIB_PIECES_H

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#define GL_PIECE ((size_t)1 << 20) /* bytes copied between two looks at the slice */

/* Copies n bytes to `to`. May make way for other tasks: both must stay where they are meanwhile. */
void gl_pieces_copy(lua_State *L, char *to, const char *from, size_t n);

/* luaL_addlstring in pieces. */
static inline void gl_pieces_add(lua_State *L, luaL_Buffer *b, const char *s, size_t n) {
  if (n <= GL_PIECE && n <= b->size - b->n) {
    memcpy(b->b + b->n, s, n);
  } else {
    gl_pieces_copy(L, luaL_prepbuffsize(b, n), s, n);
  }
  luaL_addsize(b, n);
}

#endif
