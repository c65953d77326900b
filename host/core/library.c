/* SPDX-License-Identifier: MIT */
#include "core/library.h"

#include <dlfcn.h>
#include <string.h>

const char *gl_library_load(const char *file, const gl_symbol *symbols, void *table) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
  for (const gl_symbol *s = symbols; s->name; s++) {
    void *address = dlsym(library, s->name);
    if (!address) return dlerror();
    memcpy((char *)table + s->at, &address, sizeof address);
  }
  return NULL;
}
