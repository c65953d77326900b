/* SPDX-License-Identifier: MIT */
#include "core/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gl_library_missing(void) {
  fputs("greenlua: broken: a library is used before it was loaded\n", stderr);
  abort();
}

static const char *load_library(const gl_library *lib) {
  void *handle = dlopen(lib->file, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return dlerror();
  for (size_t i = 0; lib->names[i]; i++) {
    void *address = dlsym(handle, lib->names[i]);
    if (!address) return dlerror();
    lib->addresses[i] = address;
  }
  return NULL;
}

static int is_loaded(const gl_library *lib) {
  size_t last = 0;
  while (lib->names[last + 1]) last++;
  return lib->addresses[last] != (void *)gl_library_missing; /* load_library fills them in order */
}

const char *gl_library_need(const char *file) {
  const gl_library *lib = gl_libraries;
  while (lib->file && strcmp(lib->file, file) != 0) lib++;
  return !lib->file || is_loaded(lib) ? NULL : load_library(lib);
}
