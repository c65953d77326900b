/* SPDX-License-Identifier: MIT
 *
 * Libc's own functions, behind those of the same names that this executable exports (host/cmake/symbols.cmake): the next
 * definition that the dynamic linker knows, so that a sanitizer's interceptor or a preloaded library is passed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

extern const char *const gl_libc_names[];
extern void *gl_libc_next[];

/* What a function does that this machine's libc has not got. */
static int missing(void) {
  errno = ENOSYS;
  return -1;
}

/* Finds them before any constructor of a library runs, which may call them. A sanitizer is not ready then. */
__attribute__((no_sanitize_address, no_sanitize_undefined, no_sanitize_thread)) static void find_next(void) {
  for (size_t i = 0; gl_libc_names[i] && *gl_libc_names[i]; i++) {
    void *next = dlsym(RTLD_NEXT, gl_libc_names[i]);
    gl_libc_next[i] = next ? next : (void *)missing;
  }
}

__attribute__((section(".preinit_array"), used)) static void (*const before_constructors)(void) = find_next;
