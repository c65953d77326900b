/* SPDX-License-Identifier: MIT
 *
 * The files that ship inside the binary: the Lua modules, and the stubs of lualib/meta as text. The build generates the tables
 * from lualib/.
 */
#ifndef GL_EMBEDDED_H
#define GL_EMBEDDED_H

typedef struct gl_lualib {
  const char *name;        /* "green.task"; NULL ends the table */
  const char *chunk;       /* chunk name for messages */
  const char *start, *end; /* source text */
} gl_lualib;

extern const gl_lualib gl_lualibs[]; /* modules, for require */
extern const gl_lualib gl_stubs[];   /* stubs, for green.reference to read */

#endif
