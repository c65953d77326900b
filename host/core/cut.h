/* SPDX-License-Identifier: MIT
 *
 * Where a text may be cut short. Half a character of UTF-8 at its end would make it a string that JSON and terminals refuse.
 */
#ifndef GL_CORE_CUT_H
#define GL_CORE_CUT_H

#include <stddef.h>

/* Returns how many of the `n` bytes of a text are left without half a character at their end, if the text was cut behind them. */
static inline size_t gl_cut_whole(const char *text, size_t n) {
  size_t lead = n; /* behind the first byte of the last character */
  while (lead && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80) lead--;
  if (!lead) return n;
  unsigned char first = (unsigned char)text[lead - 1];
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return length > n - lead + 1 ? lead - 1 : n;
}

#endif
