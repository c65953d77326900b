/* SPDX-License-Identifier: MIT
 *
 * Libraries that are loaded when they are first needed: linked in the usual way, they and all they need in turn
 * would be most of what a script takes to start. host/libraries/ has a file for each, named as the library is and
 * listing the functions we call; the build makes a stub of each (libraries.c), so they are called as always.
 */
#ifndef GL_CORE_LIBRARY_H
#define GL_CORE_LIBRARY_H

#include <stddef.h>

typedef struct gl_library {
  const char *file;         /* "libcurl.so.4"; NULL ends the list */
  const char *const *names; /* of its functions, NULL at the end */
  void **addresses;         /* where the stubs jump to, in the same order */
} gl_library;

/* Generated. Empty where we have no stubs for the machine: then they are linked in the usual way. */
extern const gl_library gl_libraries[];

/* To be said before its functions are called. NULL: they may be, from now on and from any thread. Else why not;
 * text that lasts until the next call. Blocks when it is loaded, once per process. */
const char *gl_library_need(const char *file);

/* Where the stubs of a library nobody said to need jump to: aborts. */
void gl_library_missing(void);

#endif
