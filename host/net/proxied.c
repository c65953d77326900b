/* SPDX-License-Identifier: MIT */
#include "net/proxied.h"

#include <stdlib.h>

#include "core/check.h"

typedef struct proxied {
  gl_buf in; /* what came of the header; it mostly comes whole, and is never copied then */
  gl_proxied_ready ready;
} proxied;

static void on_free(gl_stream *s) {
  proxied *p = s->filtering;
  gl_buf_free(&p->in);
  free(p);
}

/* Takes the filter off, and tells the user. */
static void over(gl_stream *s, const gl_proxied *what, const char *rest, size_t n) {
  proxied *p = s->filtering;
  gl_buf in = p->in; /* `rest` may be in it */
  gl_proxied_ready ready = p->ready;
  free(p);
  s->filter = NULL;
  s->filtering = NULL;
  ready(s, what, rest, n);
  gl_buf_free(&in);
}

static void on_bytes(gl_stream *s, const char *bytes, size_t n) {
  proxied *p = s->filtering;
  gl_proxied what;
  if (p->in.len) {
    if (!gl_buf_add(&p->in, bytes, n)) {
      gl_stream_break(s, UV_ENOMEM);
      return;
    }
    bytes = gl_buf_at(&p->in);
    n = p->in.len;
  }
  long used = gl_proxy_header_read(bytes, n, &what);
  if (used > 0) over(s, &what, bytes + used, n - (size_t)used);
  else if (used < 0) over(s, NULL, bytes, n);
  else if (!p->in.len && !gl_buf_add(&p->in, bytes, n)) gl_stream_break(s, UV_ENOMEM);
}

static void on_ended(gl_stream *s, int status) { gl_stream_end(s, status); }

static void on_fill(gl_stream *s) { GL_CHECK(!s->plain.len); /* invariant 1 */ }

static const gl_filter proxied_filter = {on_bytes, on_ended, on_fill, on_free};

bool gl_proxied_begin(gl_stream *s, gl_proxied_ready ready) {
  GL_CHECK(!s->filter);
  proxied *p = calloc(1, sizeof *p);
  if (!p) return false;
  p->ready = ready;
  s->filter = &proxied_filter;
  s->filtering = p;
  return true;
}
