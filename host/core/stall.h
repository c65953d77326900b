/* SPDX-License-Identifier: MIT
 *
 * Reports of stalls on stderr. A stall that comes again and again is reported once, and then the number of its repetitions: when a
 * different stall comes, after a while, and at the end. All of these functions may be called in a signal handler.
 */
#ifndef GL_CORE_STALL_H
#define GL_CORE_STALL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gl_stall {
  char last[2048]; /* the last report */
  size_t len;
  unsigned again;  /* repetitions of it that were not reported */
  int64_t when;    /* second of the last report, or of the last number of repetitions */
} gl_stall;

/* Reports `what` ("greenlua: stalled ...:\n") and the frames of `L`, which this thread or signal handler has stopped; NULL = none. */
void gl_stall_report(gl_stall *s, const char *what, lua_State *L);

/* Is the function that runs on `L` a C function? */
bool gl_stall_in_c(lua_State *L);

/* Reports the number of repetitions, if there are any. */
void gl_stall_flush(gl_stall *s);

#endif
