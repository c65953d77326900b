/* SPDX-License-Identifier: MIT
 *
 * Loops that count their steps, and let other tasks run when a slice is used up.
 */
#ifndef GL_STDLIB_STEPS_H
#define GL_STDLIB_STEPS_H

#include "core/preempt.h"

#ifdef GREENLUA_GC_STRESS
#define GL_STEPS 7
#else
#define GL_STEPS 4096 /* between two looks at the slice: 20 to 200 us */
#endif

/* Counts n more steps in `*left`, which begins at GL_STEPS. After each GL_STEPS of them gl_preempt_check is called, and raises what it
 * raises. */
static inline void gl_steps_count(lua_State *L, int *left, size_t n) {
  if (n < (size_t)*left) {
    *left -= (int)n;
    return;
  }
  *left = GL_STEPS;
  gl_preempt_check(L);
}

#endif
