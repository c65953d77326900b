/* SPDX-License-Identifier: MIT */
#include "http/libcurl.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/library.h"

#define FILE_NAME "libcurl.so.4"

struct gl_libcurl gl_libcurl;

const char *gl_libcurl_load(void) {
  static const gl_symbol symbols[] = {
#define X(name) {"curl_" #name, offsetof(struct gl_libcurl, name)},
    GL_CURL_NAMES(X)
#undef X
    {NULL, 0},
  };
  static bool ready;
  if (ready) return NULL;
  const char *error = gl_library_load(FILE_NAME, symbols, &gl_libcurl);
  if (!error && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) error = FILE_NAME ": it does not initialize";
  ready = !error;
  return error;
}
