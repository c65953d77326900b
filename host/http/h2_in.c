/* SPDX-License-Identifier: MIT
 *
 * The requests of a connection of HTTP/2: heads, and bodies, for which the client's window opens as the user asks for more.
 */
#include <stdlib.h>

#include "http/failure.h"
#include "http/h2.h"
#include "http/server.h"

#define BODY_WINDOW (256 * 1024) /* bytes of a body on their way or kept, once the user has asked for the body; before, the protocol's 64 KiB */
#define HEAD_FLOOD ((uint64_t)8) /* a head that is so many times larger than it may be ends the connection */
#define MORE_RUNNING 2           /* handlers of a connection that run at once, for each stream that it may have: resets leave handlers behind */

/* ---- heads ---- */

static void refuse_stream(gl_h2 *h2, int32_t id, uint32_t code) {
  if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, code) != 0) h2->fault = NGHTTP2_INTERNAL_ERROR;
}

static gl_h2_stream *stream_new(gl_h2 *h2, int32_t id, gl_head *head) {
  gl_server *s = h2->conn->server;
  gl_h2_stream *st = calloc(1, sizeof *st + s->user->size);
  if (!st) return NULL;
  st->h2 = h2;
  st->id = id;
  st->x.carrier = &gl_h2_carrier;
  st->x.user = s->user;
  st->x.context = s;
  st->x.heads = &s->heads;
  st->x.limits = &s->limits.head;
  st->x.minor = GL_MINOR_HTTP2;
  st->x.begun = true;
  gl_h2_request_begin(&st->request, head);
  st->next = h2->streams;
  st->at = &h2->streams;
  if (st->next) st->next->at = &st->next;
  h2->streams = st;
  h2->nstreams++;
  gl_h2_set_deadline(st, s->limits.header_timeout);
  return st;
}

bool gl_h2_begin_request(gl_h2 *h2, int32_t id) {
  gl_server *s = h2->conn->server;
  gl_head *head = h2->nstreams < s->limits.max_streams * MORE_RUNNING ? gl_heads_take(&s->heads) : NULL;
  gl_h2_stream *st = head ? stream_new(h2, id, head) : NULL;
  if (st) {
    nghttp2_session_set_stream_user_data(h2->session, id, st);
  } else {
    if (head) gl_heads_give(&s->heads, head);
    refuse_stream(h2, id, NGHTTP2_REFUSED_STREAM);
  }
  return !h2->fault;
}

static bool floods(const gl_h2_stream *st) {
  const gl_head_limits *max = st->x.limits;
  if (st->request.bytes <= HEAD_FLOOD * (max->bytes + max->target)) return false;
  st->h2->fault = NGHTTP2_ENHANCE_YOUR_CALM;
  return true;
}

static void add_trailer(gl_h2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value) {
  if (!st->trailers) st->trailers = gl_heads_take(st->x.heads);
  if (gl_h2_request_trailer(&st->request, st->trailers, st->x.limits, name, value) != 0) st->bad_trailers = true;
}

bool gl_h2_on_field(gl_h2_stream *st, bool trailer, nghttp2_rcbuf *name, nghttp2_rcbuf *value) {
  if (trailer) add_trailer(st, name, value);
  else if (st->request.head) gl_h2_request_field(&st->request, st->x.limits, name, value);
  return !floods(st);
}

bool gl_h2_on_bad_field(gl_h2_stream *st) {
  if (st->request.head) gl_head_refuse(st->request.head, 400, "a header line with a character that it cannot have");
  else st->bad_trailers = true;
  return true;
}

/* Answers a request that reaches no user. */
static void refuse(gl_h2_stream *st, int status, const char *reason) {
  st->state = GL_H2_LEFT;
  gl_failure_send(&st->x, gl_text_of("", 0), status, reason, false);
}

static void begin(gl_h2_stream *st) {
  gl_exchange *x = &st->x;
  gl_head *h = st->request.head;
  st->request.head = NULL;
  st->state = GL_H2_RUN;
  st->wants_continue = h->expect_continue && h->has_body;
  st->h2->conn->fresh = false;
  x->head = h;
  x->head_only = h->method == HTTP_HEAD;
  x->in = h->has_body || h->tunnel ? GL_IN_BODY : GL_IN_DONE;
  x->to_come = h->content_length;
  h->keep_alive = true;
  gl_h2_set_deadline(st, gl_h2_server(st)->limits.request_timeout);
  if (x->user->head(x, false)) return;
  x->head = NULL;
  gl_heads_give(x->heads, h);
  refuse(st, 503, "not enough memory");
}

void gl_h2_on_head(gl_h2_stream *st, bool ends) {
  gl_head *h = st->request.head;
  if (!h) return;
  if (gl_h2_request_end(&st->request, st->x.limits, ends) == 0) {
    begin(st);
    return;
  }
  st->x.head_only = h->method == HTTP_HEAD;
  st->x.in = ends ? GL_IN_DONE : GL_IN_BODY;
  refuse(st, h->refuse_status, h->refuse_reason);
}

/* ---- bodies ---- */

/* Tells a user that waits that the body it wants has come (0), or why not (UV_E*). */
static void tell_body(gl_h2_stream *st, int status) {
  if (!st->x.waiting) return;
  st->x.waiting = false;
  st->x.user->body(&st->x, status);
}

void gl_h2_fail_body(gl_h2_stream *st, int status) {
  gl_exchange *x = &st->x;
  if (x->in == GL_IN_BODY) {
    x->in = GL_IN_BAD;
    x->error = status;
    x->to_come = 0;
  }
  tell_body(st, status);
}

void gl_h2_give_back(gl_h2_stream *st) {
  if (st->unread && gl_h2_is_live(st)) nghttp2_session_consume_stream(st->h2->session, st->id, st->unread);
  st->unread = 0;
}

/* Tells the user if enough of the body came. */
static void body_arrived(gl_h2_stream *st) {
  gl_exchange *x = &st->x;
  if (!x->waiting) return;
  bool enough = x->in == GL_IN_DONE || x->body.len > x->wanted;
  gl_h2_count_body_wait(st);
  if (enough) {
    gl_h2_set_deadline(st, gl_h2_server(st)->limits.request_timeout);
    tell_body(st, 0);
  } else {
    gl_h2_set_body_deadline(st);
    gl_h2_give_back(st);
  }
}

static void spoil_body(gl_h2_stream *st, int status, const char *why, uint32_t code) {
  st->x.why = why;
  gl_h2_fail_body(st, status);
  gl_h2_reset(st, code);
}

void gl_h2_on_body(gl_h2_stream *st, const char *bytes, size_t n) {
  gl_exchange *x = &st->x;
  st->unread += n;
  st->wants_continue = false;
  if (st->tunnel) gl_h2_tunnel_in(st, bytes, n);
  if (st->state != GL_H2_RUN || x->in != GL_IN_BODY || x->takeover) return;
  if (!gl_buf_add(&x->body, bytes, n)) {
    gl_buf_free(&x->body); /* the body is bad now: its memory may serve others */
    x->in = GL_IN_BAD; /* and the answer can still leave */
    x->error = UV_ENOMEM;
    tell_body(st, UV_ENOMEM);
    return;
  }
  x->arrived += n;
  x->to_come -= n < x->to_come ? n : x->to_come;
  body_arrived(st);
}

void gl_h2_on_last(gl_h2_stream *st) {
  if (st->x.in != GL_IN_BODY) return;
  st->x.in = GL_IN_DONE;
  st->x.to_come = 0;
  if (st->tunnel) gl_stream_finish(st->tunnel, true);
  body_arrived(st);
}

void gl_h2_on_trailers(gl_h2_stream *st) {
  if (st->bad_trailers) {
    bool no_memory = !st->trailers || st->trailers->refuse_status == 503;
    spoil_body(st, no_memory ? UV_ENOMEM : UV_EPROTO, no_memory ? NULL : "malformed trailers", NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  if (st->state == GL_H2_RUN && st->x.in == GL_IN_BODY && st->trailers) {
    st->x.trailers = st->trailers;
    st->trailers = NULL;
  }
  gl_h2_on_last(st);
}

void gl_h2_want(gl_exchange *x, size_t more_than) {
  gl_h2_stream *st = gl_h2_of(x);
  if (!gl_h2_is_live(st)) return;
  x->waiting = true;
  x->wanted = more_than;
  if (st->wants_continue && !st->submitted) gl_h2_continue(st);
  st->wants_continue = false;
  if (!st->reads) nghttp2_session_set_local_window_size(st->h2->session, NGHTTP2_FLAG_NONE, st->id, BODY_WINDOW); /* without memory it stays */
  st->reads = true;
  gl_h2_give_back(st);
  gl_h2_set_body_deadline(st);
  gl_h2_touch(st->h2);
}
