/* SPDX-License-Identifier: MIT */
#include "http/conn.h"

#include <stdlib.h>

#include "core/check.h"
#include "http/failure.h"
#include "http/server.h"

static const gl_carrier carrier;

/* ---- life ---- */

bool gl_conn_new(gl_server *server, gl_stream *stream) {
  gl_conn *c = calloc(1, sizeof *c + server->user->size);
  if (!c) return false;
  c->server = server;
  c->stream = stream;
  c->next = server->conns;
  c->at = &server->conns;
  if (c->next) c->next->at = &c->next;
  server->conns = c;
  server->nconns++;
  server->refs++;
  stream->owner = c;
  c->fresh = true;
  c->x.carrier = &carrier;
  c->x.user = server->user;
  c->x.context = server;
  c->x.heads = &server->heads;
  c->x.limits = &server->limits.head;
  gl_h1_reader_init(&c->reader, false, &server->limits.head, gl_conn_on_body);
  c->reader.keeps_trailers = true;
  gl_conn_set_deadline(c, server->limits.header_timeout);
  if (gl_stream_read(stream) != 0) gl_stream_close(stream);
  return true;
}

static bool has_user(const gl_conn *c) { return c->state == GL_CONN_RUN || c->state == GL_CONN_TAKEN; }

static void drop_heads(gl_conn *c) {
  if (c->x.head) gl_heads_give(c->x.heads, c->x.head);
  if (c->reader.head) gl_heads_give(c->x.heads, c->reader.head);
  if (c->x.trailers) gl_heads_give(c->x.heads, c->x.trailers);
  if (c->reader.trailers) gl_heads_give(c->x.heads, c->reader.trailers);
  c->x.head = c->reader.head = c->x.trailers = c->reader.trailers = NULL;
}

static void free_conn(gl_conn *c) {
  gl_server *s = c->server;
  if (s->swept == c) s->swept = c->next;
  if (s->stopped == c) s->stopped = c->next;
  GL_CHECK(!has_user(c) && !c->stream && !c->x.waiting);
  drop_heads(c);
  gl_conn_drop_held(c);
  gl_buf_free(&c->in);
  gl_buf_free(&c->x.body);
  *c->at = c->next;
  if (c->next) c->next->at = c->at;
  free(c);
  gl_server_conn_closed(s);
}

static void on_closed(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (!c) return; /* the stream never became a connection */
  c->stream = NULL;
  if (!has_user(c)) free_conn(c);
}

void gl_conn_close_gently(gl_conn *c, bool sending) {
  c->state = GL_CONN_LINGER;
  gl_buf_free(&c->in);
  if (!c->stream) return;
  gl_conn_set_deadline(c, sending && !c->x.eof ? GL_CONN_LINGER_SECONDS : c->server->limits.write_timeout);
  gl_stream_finish(c->stream, sending && !c->x.eof);
  gl_stream_read(c->stream);
}

void gl_conn_refuse(gl_conn *c, int status, const char *reason) {
  c->close_after = true;
  if (c->x.out == GL_OUT_HEAD) gl_failure_send(&c->x, gl_text_of("", 0), status, reason, true);
  gl_conn_close_gently(c, true);
}

void gl_conn_abort(gl_conn *c) {
  if (has_user(c)) {
    gl_conn_end_body(c);
    gl_conn_tell_body(c, UV_ECONNABORTED);
    c->x.user->abort(&c->x);
  }
  if (c->x.takeover) c->x.takeover->abort(c->x.proto);
  if (c->stream) gl_stream_close(c->stream);
}

void gl_conn_shutdown(gl_conn *c, bool fresh) {
  bool between = c->state == GL_CONN_STALLED || (c->state == GL_CONN_HEAD && !c->reader.head);
  c->close_after = true;
  if (c->x.takeover) c->x.takeover->retire(c->x.proto);
  if (!c->stream) return;
  if (between && !(c->fresh && fresh)) {
    gl_stream_finish(c->stream, false);
    gl_stream_flush(c->stream); /* now: the end of the turn would have to write for all connections at once */
  } else if (c->state == GL_CONN_DRAIN) {
    gl_conn_close_gently(c, true);
  }
}

/* ---- from one exchange to the next ---- */

static void read_early(gl_conn *c, bool now) {
  size_t used = gl_conn_consume(c, gl_buf_at(&c->in), c->in.len, now);
  if (c->state != GL_CONN_LINGER) gl_buf_eat(&c->in, used); /* else the head was refused, and c->in is empty */
}

static void next_request(gl_conn *c, bool now) {
  bool full = gl_stream_full(c->stream);
  c->state = full ? GL_CONN_STALLED : GL_CONN_HEAD;
  if (c->stream->closing) return; /* the stream broke: gl_stream_full tries to write */
  if (full) { /* a client that sends requests and reads no answers gets no more of them */
    gl_stream_pause(c->stream);
    return;
  }
  gl_conn_set_deadline(c, c->server->limits.keepalive_timeout);
  if (c->in.len) read_early(c, now);
  if (c->state == GL_CONN_LINGER) return;
  if (!c->in.len) gl_buf_free(&c->in);
  if (c->in.len <= GL_CONN_IN_HIGH) gl_stream_read(c->stream); /* also in RUN, to see the client leave */
  if (c->state == GL_CONN_RUN && c->x.eof) gl_conn_end_body(c); /* the client has ended, and the rest of the body will never come */
  if (c->state != GL_CONN_HEAD) return;
  if (c->x.eof || c->server->closing) gl_conn_close_gently(c, false);
  if (c->stream) gl_stream_flush(c->stream); /* no further answer is about to join the output */
}

/* Decides what becomes of the connection once the answer is out. */
static void conclude(gl_conn *c) {
  gl_buf_free(&c->x.body);
  if (c->close_after || c->x.in == GL_IN_BAD || c->server->closing) {
    gl_conn_close_gently(c, c->x.in != GL_IN_DONE || c->in.len > 0);
  } else if (c->x.in == GL_IN_DONE) {
    next_request(c, true);
  } else if (c->wants_continue) { /* nobody can tell whether the client will send the body, and so where the next request begins */
    gl_conn_close_gently(c, true);
  } else {
    c->state = GL_CONN_DRAIN;
    gl_conn_set_deadline(c, c->server->limits.body_timeout);
    gl_stream_read(c->stream);
  }
}

void gl_conn_begin(gl_conn *c, bool now) {
  gl_head *h = c->reader.head;
  gl_exchange *x = &c->x;
  c->state = GL_CONN_RUN;
  c->fresh = false;
  c->close_after = !h->keep_alive || c->server->closing || c->server->crowded;
  c->body_waited = 0;
  c->wants_continue = h->expect_continue && h->has_body;
  c->out = (gl_body_out){.mode = GL_BODY_NONE};
  c->reader.head = NULL;
  x->head = h;
  x->minor = h->minor;
  x->begun = true;
  x->head_only = h->method == HTTP_HEAD;
  x->out = GL_OUT_HEAD;
  x->error = 0;
  x->why = NULL;
  x->arrived = 0;
  x->in = h->has_body ? GL_IN_BODY : GL_IN_DONE;
  x->to_come = c->reader.left;
  gl_conn_set_deadline(c, c->server->limits.request_timeout);
  if (x->user->head(x, now)) return;
  drop_heads(c);
  gl_conn_refuse(c, 503, "not enough memory");
}

/* ---- the carrier's functions that change the state ---- */

static void conn_release(gl_exchange *x, bool failed) {
  gl_conn *c = gl_conn_of(x);
  const gl_takeover *takeover = x->takeover;
  bool taken = c->state == GL_CONN_TAKEN;
  x->waiting = false;
  drop_heads(c);
  gl_conn_drop_held(c);
  c->state = taken ? GL_CONN_LEFT : GL_CONN_LINGER;
  if (takeover) takeover->over(x->proto, failed);
  if (taken) return; /* the other protocol calls conn_stream_closed later */
  if (!c->stream) free_conn(c);
  else if (!c->stream->closing) conclude(c);
}

static gl_stream *conn_take(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto) {
  gl_conn *c = gl_conn_of(x);
  gl_stream *stream = c->stream;
  *rest = c->in;
  c->in = (gl_buf){0};
  c->stream = NULL;
  c->state = GL_CONN_TAKEN;
  x->out = GL_OUT_DONE;
  x->takeover = takeover;
  x->proto = proto;
  return stream;
}

static void conn_stream_closed(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  if (c->state == GL_CONN_TAKEN) c->state = GL_CONN_RUN;
  else free_conn(c);
}

static void conn_renew(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  gl_conn_set_deadline(c, c->server->limits.request_timeout);
}

static int conn_peer(const gl_exchange *x, struct sockaddr_storage *address) {
  gl_stream *s = gl_conn_of(x)->stream;
  int len = sizeof *address;
  if (!s) return -1;
  if (s->uv.handle.type != UV_TCP || uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)address, &len) != 0) return AF_UNIX;
  return address->ss_family;
}

static const gl_carrier carrier = {
  .send = gl_conn_send, .send_head = gl_conn_send_head, .send_body = gl_conn_send_body, .finish = gl_conn_finish,
  .take_back = gl_conn_take_back, .cut = gl_conn_cut, .want = gl_conn_want, .is_full = gl_conn_is_full, .is_open = gl_conn_is_open,
  .renew = conn_renew, .release = conn_release, .peer = conn_peer, .take = conn_take,
  .stream_closed = conn_stream_closed,
};

/* ---- what the stream tells ---- */

static void on_drained(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (c->state == GL_CONN_STALLED && !stream->broken) next_request(c, false);
  else if (c->state == GL_CONN_RUN) c->x.user->room(&c->x, stream->broken ? UV_EPIPE : 0);
}

const gl_stream_user gl_conn_user = {gl_conn_on_data, gl_conn_on_end, on_drained, on_closed, gl_conn_on_blocked, .served = true};
