/* SPDX-License-Identifier: MIT */
#include "coding/encoder.h"

#include <string.h>

#include "core/library.h"

const gl_coding *gl_coding_find(const char *name, size_t n) {
  static const gl_coding *const codings[] = {&gl_coding_gzip, &gl_coding_zstd, NULL};
  for (const gl_coding *const *at = codings; *at; at++)
    if (strlen((*at)->name) == n && memcmp((*at)->name, name, n) == 0) return *at;
  return NULL;
}

const char *gl_encoder_start(gl_encoder *e, const gl_coding *coding) {
  *e = (gl_encoder){.coding = coding};
  const char *lacks = gl_library_need(coding->library);
  return lacks ? lacks : coding->start(e) ? NULL : "";
}

gl_encoded gl_encoder_run(gl_encoder *e, gl_coding_io *io, gl_encode_then then) { return e->coding->run(e, io, then); }

void gl_encoder_stop(gl_encoder *e) {
  if (e->state) e->coding->stop(e);
  e->state = NULL;
}
