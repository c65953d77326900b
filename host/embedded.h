/* SPDX-License-Identifier: MIT
 *
 * What ships inside the binary: the Lua modules, and the stubs of lualib/meta as text. The tables are generated at build
 * time from lualib/.
 */
#ifndef GL_EMBEDDED_H
#define GL_EMBEDDED_H

typedef struct gl_lualib {
  const char *name;        /* "green.task"; NULL ends the table */
  const char *chunk;       /* chunk name for messages */
  const char *start, *end; /* source text */
} gl_lualib;

extern const gl_lualib gl_lualibs[]; /* to be required */
extern const gl_lualib gl_stubs[];   /* to be read: green.reference */

#endif
