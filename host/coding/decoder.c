/* SPDX-License-Identifier: MIT */
#include "coding/decoder.h"

#include <string.h>
#include <strings.h>

#include "core/library.h"

static const gl_codec *const codecs[] = {&gl_codec_gzip, &gl_codec_deflate, &gl_codec_brotli, &gl_codec_zstd, NULL};

static bool is_named(const char *codec, const char *name, size_t n) {
  return codec && strlen(codec) == n && strncasecmp(codec, name, n) == 0;
}

const gl_codec *gl_codec_find(const char *name, size_t n) {
  for (const gl_codec *const *at = codecs; *at; at++)
    if (is_named((*at)->name, name, n) || is_named((*at)->alias, name, n)) return *at;
  return NULL;
}

const char *gl_decoder_start(gl_decoder *d, const gl_codec *codec) {
  *d = (gl_decoder){.codec = codec};
  const char *lacks = gl_library_need(codec->library);
  return lacks ? lacks : codec->start(d) ? NULL : "";
}

gl_decoded gl_decoder_run(gl_decoder *d, gl_coding_io *io) {
  bool input = io->in_left > 0;
  gl_decoded news = d->codec->run(d, io);
  if (input) d->begun = true;
  return news;
}

bool gl_decoder_ended(const gl_decoder *d) { return !d->begun || d->complete; }

void gl_decoder_stop(gl_decoder *d) {
  if (d->state) d->codec->stop(d);
  d->state = NULL;
}
