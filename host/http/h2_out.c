/* SPDX-License-Identifier: MIT
 *
 * The responses of a connection of HTTP/2. nghttp2 has the heads; bodies wait in the streams until nghttp2 asks for the next frame.
 */
#include <stdlib.h>

#include "h1/status.h"
#include "h2/response.h"
#include "http/h2.h"
#include "http/server.h"

#define KEPT ((size_t)16 * 1024) /* bytes of an empty `out` that are kept for more to come */

/* ---- what nghttp2 asks for ---- */

/* The response is complete but for its trailers. */
static void end_with_trailers(gl_h2_stream *st, uint32_t *flags) {
  gl_h2_fields f;
  if (!gl_h2_fields_of_trailers(&f, &st->last)) return; /* without them: better than not at all */
  if (nghttp2_submit_trailer(st->h2->session, st->id, f.list, f.n) == 0) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  gl_h2_fields_drop(&f);
}

static ssize_t on_fill(nghttp2_session *session, int32_t id, uint8_t *buf, size_t n, uint32_t *flags, nghttp2_data_source *source, void *user) {
  gl_h2_stream *st = source->ptr;
  (void)session, (void)id, (void)buf, (void)user;
  if (!st->out.len && (!st->complete || st->file)) {
    st->asleep = true;
    gl_h2_file_go_on(st);
    return NGHTTP2_ERR_DEFERRED;
  }
  if (n >= st->out.len) {
    n = st->out.len;
    if (st->complete && !st->file) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (*flags & NGHTTP2_DATA_FLAG_EOF && st->last.n) end_with_trailers(st, flags);
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return (ssize_t)n;
}

/* ---- heads ---- */

static void drop_held(gl_h2_stream *st) {
  free(st->held);
  st->held = NULL;
}

void gl_h2_drop_response(gl_h2_stream *st) {
  drop_held(st);
  gl_h2_file_drop(st);
  gl_buf_free(&st->out);
  gl_fields_free(&st->last);
}

/* Gives nghttp2 the head. `body`: frames of a body follow. */
static bool submit(gl_h2_stream *st, const nghttp2_nv *list, size_t n, bool body) {
  nghttp2_data_provider from = {.source.ptr = st, .read_callback = on_fill};
  st->submitted = nghttp2_submit_response(st->h2->session, st->id, list, n, body ? &from : NULL) == 0;
  gl_h2_touch(st->h2);
  return st->submitted;
}

static bool release_held(gl_h2_stream *st, bool body) {
  if (!st->held) return true;
  bool done = submit(st, st->held, st->nheld, body);
  if (done) drop_held(st);
  return done;
}

void gl_h2_continue(gl_h2_stream *st) {
  static const nghttp2_nv go_on = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
  nghttp2_submit_headers(st->h2->session, NGHTTP2_FLAG_NONE, st->id, NULL, &go_on, 1, NULL); /* without memory: the client goes on after a while */
}

int gl_h2_send_interim(gl_exchange *x, int status, const gl_fields *fields) {
  gl_h2_stream *st = gl_h2_of(x);
  gl_h2_fields f;
  if (!gl_h2_is_live(st)) return 0;
  if (!gl_h2_fields_of_interim(&f, status, fields)) return UV_ENOMEM;
  int error = nghttp2_submit_headers(st->h2->session, NGHTTP2_FLAG_NONE, st->id, NULL, f.list, f.n, NULL);
  gl_h2_fields_drop(&f);
  gl_h2_touch(st->h2);
  return error ? UV_ENOMEM : 0;
}

/* ---- a whole message ---- */

int gl_h2_send(gl_exchange *x, const gl_message_head *m, const char *body, size_t n) {
  gl_h2_stream *st = gl_h2_of(x);
  gl_h2_fields f;
  bool silent = !body || !n || x->head_only || gl_status_is_bodiless(m->status);
  if (!gl_h2_is_live(st)) {
    x->out = GL_OUT_DONE;
    return 0;
  }
  if (!silent && !gl_buf_add(&st->out, body, n)) return UV_ENOMEM;
  bool done = gl_h2_fields_of_head(&f, m, &gl_h2_server(st)->date);
  if (done) {
    done = submit(st, f.list, f.n, !silent);
    gl_h2_fields_drop(&f);
  }
  if (!done) {
    gl_buf_free(&st->out);
    return UV_ENOMEM;
  }
  st->complete = true;
  x->out = GL_OUT_DONE;
  return 0;
}

/* ---- one in pieces ---- */

static int begin_body(gl_h2_stream *st, const gl_message_head *m, gl_h2_fields *f, bool silent) {
  if (m->hold && !silent) {
    st->held = gl_h2_fields_copy(f);
    st->nheld = f->n;
    return st->held ? 0 : UV_ENOMEM;
  }
  return submit(st, f->list, f->n, !silent) ? 0 : UV_ENOMEM;
}

int gl_h2_send_head(gl_exchange *x, const gl_message_head *m) {
  gl_h2_stream *st = gl_h2_of(x);
  gl_h2_fields f;
  bool silent = x->head_only || gl_status_is_bodiless(m->status), sized = m->length != GL_LENGTH_UNKNOWN;
  if (!gl_h2_is_live(st)) {
    x->out = GL_OUT_DONE;
    return 0;
  }
  if (!gl_h2_fields_of_head(&f, m, &gl_h2_server(st)->date)) return UV_ENOMEM;
  int err = begin_body(st, m, &f, silent);
  gl_h2_fields_drop(&f);
  if (err) return err;
  st->body = (gl_body_out){.mode = silent ? GL_BODY_NONE : sized ? GL_BODY_LENGTH : GL_BODY_CHUNKED, .owed = sized ? (uint64_t)m->length : 0};
  st->complete = silent;
  x->out = silent ? GL_OUT_DONE : GL_OUT_BODY;
  return 0;
}

bool gl_h2_take_back(gl_exchange *x) {
  gl_h2_stream *st = gl_h2_of(x);
  if (!gl_h2_is_live(st) || !st->held) return false;
  drop_held(st);
  st->body = (gl_body_out){.mode = GL_BODY_NONE};
  x->out = GL_OUT_HEAD;
  return true;
}

static void count(gl_h2_stream *st, uint64_t n) {
  if (st->body.mode == GL_BODY_LENGTH) st->body.owed -= n;
}

int gl_h2_send_body(gl_exchange *x, const char *bytes, size_t n) {
  gl_h2_stream *st = gl_h2_of(x);
  bool live = gl_h2_is_live(st);
  if (live && n && !gl_buf_room(&st->out, n)) return UV_ENOMEM;
  if (!gl_body_out_takes(&st->body, n)) return UV_EMSGSIZE;
  if (live && !release_held(st, true)) return UV_ENOMEM;
  count(st, n);
  if (!gl_h2_is_live(st)) return 0; /* memory that was asked for meanwhile may have cost a collection, and a finalizer ended the server */
  gl_buf_add(&st->out, bytes, n); /* there is room */
  gl_h2_resume(st);
  return 0;
}

int gl_h2_send_file(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n) {
  gl_h2_stream *st = gl_h2_of(x);
  bool live = gl_h2_is_live(st);
  x->file_error = 0;
  if (!gl_body_out_takes(&st->body, n)) return UV_EMSGSIZE;
  if (live && (!release_held(st, true) || !gl_h2_file_begin(st, file, at, n))) return UV_ENOMEM;
  count(st, n);
  gl_h2_file_go_on(st);
  return 0;
}

uint64_t gl_h2_finish(gl_exchange *x, const gl_fields *trailers) {
  gl_h2_stream *st = gl_h2_of(x);
  bool some = trailers && trailers->n && st->body.mode == GL_BODY_CHUNKED;
  if (st->body.mode == GL_BODY_LENGTH && st->body.owed) return st->body.owed;
  x->out = GL_OUT_DONE;
  if (!gl_h2_is_live(st)) return 0;
  st->complete = true;
  if ((some && !gl_fields_copy(&st->last, trailers)) || !release_held(st, some)) gl_h2_cut(x);
  else gl_h2_resume(st);
  return 0;
}

void gl_h2_cut(gl_exchange *x) {
  gl_h2_stream *st = gl_h2_of(x);
  x->out = GL_OUT_DONE;
  st->complete = false; /* no frame that is made yet may look like the end */
  gl_h2_drop_response(st);
  st->reset_by_us = true;
  if (!st->sent) gl_h2_reset(st, NGHTTP2_INTERNAL_ERROR);
}

bool gl_h2_is_open(const gl_exchange *x) {
  const gl_h2_stream *st = gl_h2_of(x);
  const gl_stream *s = st->h2->conn->stream;
  return !st->lost && s && !s->broken && !s->closing;
}

/* ---- the body, frame by frame ---- */

static bool is_full(const gl_h2_stream *st) { return st->file || st->out.len > GL_H2_OUT_HIGH; }

bool gl_h2_is_full(gl_exchange *x) {
  gl_h2_stream *st = gl_h2_of(x);
  if (!is_full(st)) return false;
  gl_h2_pump(st->h2); /* the client may well take it now */
  return st->full = gl_h2_is_live(st) && is_full(st);
}

void gl_h2_resume(gl_h2_stream *st) {
  if (!st->asleep || !gl_h2_is_live(st)) return;
  st->asleep = false;
  if (nghttp2_session_resume_data(st->h2->session, st->id) == NGHTTP2_ERR_NOMEM) gl_h2_cut(&st->x);
  gl_h2_touch(st->h2);
}

/* Bytes have left `out`: tells a user that waits for room. */
static void drained(gl_h2_stream *st) {
  gl_h2_file_go_on(st);
  if (st->tunnel && st->out.len <= GL_H2_OUT_HIGH / 2) gl_stream_read(st->tunnel);
  if (!st->full || st->file || st->out.len > GL_H2_OUT_HIGH / 2) return;
  st->full = false;
  st->x.user->room(&st->x, 0);
}

int gl_h2_on_frame_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n, nghttp2_data_source *source, void *user) {
  static const size_t head_len = 9; /* bytes of a frame's head (RFC 9113, 4.1) */
  gl_h2_stream *st = source->ptr;
  gl_stream *s = st->h2->conn->stream;
  (void)session, (void)frame, (void)user;
  if (st->out.len < n) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it was cut, and is being reset */
  if (!gl_h2_may_write(st->h2)) return NGHTTP2_ERR_WOULDBLOCK;
  if (!gl_stream_write(s, head, head_len) || (n && !gl_stream_write(s, gl_buf_at(&st->out), n))) return NGHTTP2_ERR_WOULDBLOCK; /* it is broken */
  gl_buf_eat(&st->out, n);
  if (!st->out.len && (st->complete || st->out.cap > KEPT)) gl_buf_free(&st->out);
  st->h2->quota -= (ssize_t)(head_len + n);
  st->left += n;
  gl_h2_guard_work(st->h2, n);
  drained(st);
  return 0;
}
