/* SPDX-License-Identifier: MIT */
#include "stdlib/pieces.h"

#include <string.h>

#include "core/preempt.h"

void gl_pieces_copy(lua_State *L, char *to, const char *from, size_t n) {
  for (; n > GL_PIECE; n -= GL_PIECE, to += GL_PIECE, from += GL_PIECE) {
    memcpy(to, from, GL_PIECE);
    gl_preempt_check(L);
  }
  memcpy(to, from, n);
}
