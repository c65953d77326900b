/* SPDX-License-Identifier: MIT
 *
 * Positions in strings as scripts give them: from 1, or from the end when negative (manual 6.4).
 */
#ifndef GL_STDLIB_RANGE_H
#define GL_STDLIB_RANGE_H

#include <lua.h>
#include <stddef.h>

/* The first position of a range, at least 1, and possibly beyond the string. */
static inline size_t gl_range_start(lua_Integer i, size_t length) {
  if (i > 0) return (size_t)i;
  return i == 0 || i < -(lua_Integer)length ? 1 : length + (size_t)i + 1;
}

#endif
