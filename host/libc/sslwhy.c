/* SPDX-License-Identifier: MIT */
#include "libc/sslwhy.h"

#include <dlfcn.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdint.h>

#define CALLERS 16 /* places of calls that are remembered */

typedef int get_error(const void *ssl, int result);

/* The function of that name in the libraries that the code at `caller` is linked to: there may be several OpenSSLs. NULL: none. They stay
 * loaded from now on. */
static get_error *find_for(const void *caller) {
  Dl_info info;
  get_error *found = NULL;
  void *module = dladdr(caller, &info) ? dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY) : NULL;
  if (!module) return NULL;
  *(void **)&found = dlsym(module, "SSL_get_error");
  return found;
}

static get_error *real_for(const void *caller) {
  static _Thread_local struct {
    const void *caller;
    get_error *real;
  } known[CALLERS];
  size_t at = ((uintptr_t)caller >> 2) % CALLERS;
  if (known[at].caller != caller) {
    known[at].real = find_for(caller);
    known[at].caller = caller;
  }
  return known[at].real;
}

int gl_ssl_SSL_get_error(const void *ssl, int result) {
  int error = errno;
  get_error *real = real_for(__builtin_return_address(0));
  errno = error;
  int why = real ? real(ssl, result) : SSL_ERROR_SSL;
  if (why == SSL_ERROR_SYSCALL && result < 0 && !errno) errno = ECONNRESET;
  return why;
}
