/* SPDX-License-Identifier: MIT
 *
 * The files that ship inside the binary: the Lua modules, compiled, and the stubs of lualib/meta as text. The build generates the
 * tables from lualib/ (cmake/embed.c).
 */
#ifndef GL_EMBEDDED_H
#define GL_EMBEDDED_H

#include <stdbool.h>

typedef struct gl_lualib {
  const char *name;        /* "green.task"; NULL ends the table */
  const char *chunk;       /* chunk name for messages */
  const char *start, *end; /* a module's binary chunk, a stub's text */
  bool internal;           /* no script requires the module by itself: its second line says so */
} gl_lualib;

extern const gl_lualib gl_lualibs[]; /* modules, for require */
extern const gl_lualib gl_stubs[];   /* stubs, for green.reference to read */

#endif
