/* SPDX-License-Identifier: MIT */
#ifndef GL_CODING_IO_H
#define GL_CODING_IO_H

#include <stddef.h>

/* The input and the room for output of a run of a decoder or an encoder. A run moves the pointers behind the bytes that it has read and
 * written, and reduces the numbers of bytes that are left. */
typedef struct gl_coding_io {
  const unsigned char *in;
  size_t in_left;
  unsigned char *out;
  size_t out_left;
} gl_coding_io;

#endif
