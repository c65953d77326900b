/* SPDX-License-Identifier: MIT
 *
 * Shared libraries that are loaded when they are first needed. Linking them would have every script that starts load
 * them, and all they need in turn.
 */
#ifndef GL_CORE_LIBRARY_H
#define GL_CORE_LIBRARY_H

#include <stddef.h>

typedef struct gl_symbol {
  const char *name;
  size_t at; /* where its address goes in the table */
} gl_symbol;

/* Loads the library and fills the table with its functions, up to the symbol without a name. Returns NULL, or what
 * is wrong: text that lasts until the next call. Blocks. */
const char *gl_library_load(const char *file, const gl_symbol *symbols, void *table);

#endif
