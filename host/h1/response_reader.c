/* SPDX-License-Identifier: MIT */
#include "h1/response_reader.h"

static bool bad(gl_response_reader *r, const char *wrong) {
  r->h1.state = GL_H1_BAD;
  if (!r->wrong) r->wrong = wrong;
  return false;
}

static bool on_body(gl_h1_reader *h1, const char *at, size_t n) {
  gl_response_reader *r = (gl_response_reader *)h1; /* `h1` is the first member */
  return r->user->body(r, at, n);
}

void gl_response_begin(gl_response_reader *r, gl_head *head, const gl_head_limits *limits, gl_answers answers) {
  gl_response_free(r);
  *r = (gl_response_reader){.user = r->user, .owner = r->owner};
  gl_h1_reader_init(&r->h1, true, limits, on_body);
  gl_h1_reader_next(&r->h1, head);
  r->h1.answers = answers;
  r->h1.keeps_trailers = true;
}

void gl_response_free(gl_response_reader *r) {
  if (r->h1.trailers) gl_head_free(r->h1.trailers);
  r->h1.trailers = NULL;
}

/* Begins the next response after an interim one. The bytes of all heads are counted together, so that a server cannot send interim
 * responses for ever. */
static bool end_interim(gl_response_reader *r) {
  gl_head *h = r->h1.head;
  uint8_t answers = r->h1.answers;
  if (h->status == 101) return bad(r, "it switches protocols, which nobody asked for");
  if (!r->user->interim(r)) return bad(r, "it is not wanted");
  uint32_t raw = h->raw;
  gl_head_clear(h);
  h->raw = raw;
  gl_h1_reader_next(&r->h1, h);
  r->h1.answers = answers;
  return true;
}

static void end_head(gl_response_reader *r) {
  gl_head *h = r->h1.head;
  if (h->status < 200) end_interim(r);
  else if (!r->user->head(r)) bad(r, "it is not wanted");
}

/* Sets `wrong`, `no_memory` and `too_large` by the status and the reason for which the head was refused. */
static void refuse_head(gl_response_reader *r) {
  const gl_head *h = r->h1.head;
  r->no_memory = h->refuse_status == 503;
  r->too_large = h->refuse_status == 431;
  bad(r, r->too_large ? "the head is too large" : h->refuse_reason);
}

static size_t read_head(gl_response_reader *r, const char *at, size_t n) {
  r->begun = true;
  size_t used = gl_h1_read_head(&r->h1, at, n);
  if (!r->h1.head->refuse_status && r->h1.head->raw > r->h1.limits->bytes) gl_head_refuse(r->h1.head, 431, "");
  if (r->h1.head->refuse_status) refuse_head(r);
  else if (r->h1.state != GL_H1_HEAD) end_head(r);
  return used;
}

static size_t read_body(gl_response_reader *r, const char *at, size_t n) {
  bool trailers = r->h1.state == GL_H1_TRAILERS;
  size_t used = gl_h1_read_body(&r->h1, at, n);
  if (r->h1.state != GL_H1_BAD) return used;
  r->no_memory |= r->h1.no_memory;
  r->too_large |= r->h1.too_large;
  bad(r, r->h1.wrong ? r->h1.wrong : trailers ? "malformed trailers" : "it is not wanted");
  return used;
}

size_t gl_response_read(gl_response_reader *r, const char *bytes, size_t n) {
  size_t used = 0;
  while (used < n && r->h1.state != GL_H1_DONE && r->h1.state != GL_H1_BAD)
    used += (r->h1.state == GL_H1_HEAD ? read_head : read_body)(r, bytes + used, n - used);
  return used;
}
