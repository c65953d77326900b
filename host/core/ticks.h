/* SPDX-License-Identifier: MIT
 *
 * The cheapest clock that the processor has, for weighing one run of a task against another. What a tick is worth is found out beside
 * a real clock (core/budget.c); nothing is known of it here but that ticks are steady, and the same on all cores or nearly so.
 */
#ifndef GL_CORE_TICKS_H
#define GL_CORE_TICKS_H

#include <stdint.h>
#include <uv.h>

static inline uint64_t gl_ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return uv_hrtime();
#endif
}

#endif
