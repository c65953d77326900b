/* SPDX-License-Identifier: MIT */
#include "libc/sslerrors.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 16 /* ERR_NUM_ERRORS: what the queue holds */
#define TEXT 120 /* bytes kept of each text */

struct gl_sslerrors {
  int n;
  struct {
    unsigned long code;
    int line;
    char file[TEXT], function[TEXT], text[TEXT]; /* `text` is what was added to the error; "" = nothing */
  } error[MOST];
};

/* Functions of the libcrypto that is loaded, whoever has loaded it. */
static struct {
  unsigned long (*peek)(void);
  unsigned long (*get)(const char **file, int *line, const char **function, const char **data, int *flags);
  void (*clear)(void);
  void (*make)(void);
  void (*debug)(const char *file, int line, const char *function);
  void (*set)(int library, int reason, const char *format, ...);
} crypto;

/* Finds them. False: OpenSSL is not loaded (yet). Looks again at each wait: that is a walk over the libraries that are loaded. */
static bool find_crypto(void) {
  if (crypto.peek) return true;
  void *library = dlopen("libcrypto.so.3", RTLD_NOLOAD | RTLD_LAZY);
  if (!library) return false;
  *(void **)&crypto.get = dlsym(library, "ERR_get_error_all");
  *(void **)&crypto.clear = dlsym(library, "ERR_clear_error");
  *(void **)&crypto.make = dlsym(library, "ERR_new");
  *(void **)&crypto.debug = dlsym(library, "ERR_set_debug");
  *(void **)&crypto.set = dlsym(library, "ERR_set_error");
  void *peek = dlsym(library, "ERR_peek_error");
  if (crypto.get && crypto.clear && crypto.make && crypto.debug && crypto.set) *(void **)&crypto.peek = peek;
  return crypto.peek != NULL; /* the reference to the library is kept: it stays loaded */
}

static void keep(char *out, const char *text) { snprintf(out, TEXT, "%s", text ? text : ""); }

gl_sslerrors *gl_sslerrors_take(void) {
  if (!find_crypto() || !crypto.peek()) return NULL;
  gl_sslerrors *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  while (e->n < MOST) {
    const char *file = NULL, *function = NULL, *text = NULL;
    int flags = 0, i = e->n;
    e->error[i].code = crypto.get(&file, &e->error[i].line, &function, &text, &flags);
    if (!e->error[i].code) break;
    keep(e->error[i].file, file);
    keep(e->error[i].function, function);
    keep(e->error[i].text, (flags & ERR_TXT_STRING) ? text : NULL);
    e->n++;
  }
  return e;
}

void gl_sslerrors_put(gl_sslerrors *e) {
  if (find_crypto() && crypto.peek()) crypto.clear();
  for (int i = 0; e && i < e->n; i++) {
    unsigned long code = e->error[i].code;
    crypto.make();
    crypto.debug(e->error[i].file, e->error[i].line, e->error[i].function);
    if (*e->error[i].text) crypto.set(ERR_GET_LIB(code), ERR_GET_REASON(code), "%s", e->error[i].text);
    else crypto.set(ERR_GET_LIB(code), ERR_GET_REASON(code), NULL);
  }
  free(e);
}
