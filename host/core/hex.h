/* SPDX-License-Identifier: MIT */
#ifndef GL_CORE_HEX_H
#define GL_CORE_HEX_H

/* Returns the value of a hexadecimal digit; -1: it is none. */
static inline int gl_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
