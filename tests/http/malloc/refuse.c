/* SPDX-License-Identifier: MIT
 *
 * Preloaded, it refuses allocations of C to order: malloc, calloc, realloc and their like, on the thread that gave the order. It is the module
 * `refuse` of the same process, too: see walk.lua.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <lauxlib.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static volatile bool armed;
static pthread_t thread;
static long seen, first, last; /* allocations since the order; those that are refused */
static bool traces;            /* REFUSE_TRACE: each refusal says on stderr where it was */

static bool refused(void) {
  if (!armed || !pthread_equal(pthread_self(), thread)) return false;
  seen++;
  if (seen < first || seen > last) return false;
  if (traces) {
    void *frames[32];
    armed = false;
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    armed = true;
  }
  errno = ENOMEM;
  return true;
}

void *malloc(size_t n) { return refused() ? NULL : __libc_malloc(n); }

void *calloc(size_t n, size_t size) { return refused() ? NULL : __libc_calloc(n, size); }

void *realloc(void *block, size_t n) { return refused() ? NULL : __libc_realloc(block, n); }

void *aligned_alloc(size_t align, size_t n) { return refused() ? NULL : __libc_memalign(align, n); }

int posix_memalign(void **out, size_t align, size_t n) {
  void *block = refused() ? NULL : __libc_memalign(align, n);
  if (!block) return ENOMEM;
  *out = block;
  return 0;
}

/* order(first, last): from now on, those allocations are refused, counted from 1 */
static int order(lua_State *L) {
  first = (long)luaL_checkinteger(L, 1);
  last = (long)luaL_checkinteger(L, 2);
  thread = pthread_self();
  traces = getenv("REFUSE_TRACE") != NULL;
  void *frames[1];
  if (traces) backtrace(frames, 1); /* loads what it needs */
  seen = 0;
  armed = true;
  return 0;
}

/* stop() -> how many allocations there were since the order */
static int stop(lua_State *L) {
  armed = false;
  lua_pushinteger(L, seen);
  return 1;
}

int luaopen_refuse(lua_State *L) {
  static const luaL_Reg functions[] = {{"order", order}, {"stop", stop}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
