/* SPDX-License-Identifier: MIT
 *
 * Reports of what held everybody up, on stderr. One that comes again and again is told once, and then how often it came:
 * when another one comes, after a while, and at the end. Whatever is here may be called in a signal handler.
 */
#ifndef GL_CORE_STALL_H
#define GL_CORE_STALL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gl_stall {
  char last[2048]; /* the text told last */
  size_t len;
  unsigned again;  /* how often it has come since and was not told */
  int64_t when;    /* second at which it, or how often, was told last */
} gl_stall;

/* Tell `what` ("greenlua: stalled ...:\n") and the frames of `L`, which stands still; NULL = none. */
void gl_stall_report(gl_stall *s, const char *what, lua_State *L);

/* Is the function that runs on `L` one of C? */
bool gl_stall_in_c(lua_State *L);

/* Tell how often the last one came again, if it did. */
void gl_stall_flush(gl_stall *s);

#endif
