/* SPDX-License-Identifier: MIT
 *
 * Reports of stalls on stderr: each place is reported once, with what to do about it, and from then on with the number of times it came
 * again: after a while, when it has to give way to other places, and at the end. A place is what stalls and its callers up to the first
 * line of Lua: many tasks that stall in the same call, whoever called it, are one place. All of these functions may be called in a
 * signal handler.
 */
#ifndef GL_CORE_STALL_H
#define GL_CORE_STALL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GL_STALL_PLACES 32 /* that are known at once */

typedef struct gl_stall_place {
  uint64_t key;   /* hash of the place; 0 = none */
  unsigned again; /* stalls there that were not reported */
  int64_t when;   /* second of the last report, or of the last number of repetitions */
  char name[72];  /* "app.lua:12", or what stalls if there is no line */
} gl_stall_place;

typedef struct gl_stall {
  gl_stall_place place[GL_STALL_PLACES];
  unsigned next; /* the place that a new one replaces */
} gl_stall;

/* Reports `what` ("greenlua: stalled ...:\n"), the frames of `L`, which this thread or signal handler has stopped (NULL = none), the number
 * of the task (0 = none) and `advice` ("\t...\n", NULL = none). Does nothing but count where the place is known. */
void gl_stall_report(gl_stall *s, const char *what, lua_State *L, uint64_t task, const char *advice);

/* Is the function that runs on `L` a C function? */
bool gl_stall_in_c(lua_State *L);

/* Reports the numbers of repetitions, if there are any. */
void gl_stall_flush(gl_stall *s);

#endif
