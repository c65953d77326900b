/* SPDX-License-Identifier: MIT
 *
 * The Lua modules that ship inside the binary; the table is generated at build time from lualib/.
 */
#ifndef GL_EMBEDDED_H
#define GL_EMBEDDED_H

typedef struct gl_lualib {
  const char *name;        /* "green.task"; NULL ends the table */
  const char *chunk;       /* chunk name for messages */
  const char *start, *end; /* source text */
} gl_lualib;

extern const gl_lualib gl_lualibs[];

#endif
