/* SPDX-License-Identifier: MIT */
#include "http/conn.h"

#include <stdlib.h>

#include "core/check.h"
#include "http/failure.h"
#include "http/h2.h"
#include "http/server.h"
#include "net/tls.h"

static const gl_carrier carrier;

/* ---- life ---- */

bool gl_conn_new(gl_server *server, gl_stream *stream, bool behind) {
  gl_conn *c = calloc(1, sizeof *c + (behind ? sizeof *c->client : 0));
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
  gl_conn_set_deadline(c, server->limits.header_timeout);
  if (gl_stream_read(stream) != 0) gl_stream_close(stream);
  return true;
}

void gl_conn_announce(gl_conn *c, const gl_proxied *what) {
  c->client[0] = *what;
  c->announced = true;
}

static bool has_user(const gl_conn *c) { return c->state == GL_CONN_RUN || c->state == GL_CONN_TAKEN; }

static void drop_heads(gl_conn *c) {
  gl_conn_request *r = c->r;
  if (r->x.head) gl_heads_give(r->x.heads, r->x.head);
  if (r->reader.head) gl_heads_give(r->x.heads, r->reader.head);
  if (r->x.trailers) gl_heads_give(r->x.heads, r->x.trailers);
  if (r->reader.trailers) gl_heads_give(r->x.heads, r->reader.trailers);
  r->x.head = r->reader.head = r->x.trailers = r->reader.trailers = NULL;
}

static void init_request(gl_conn_request *r, gl_server *s) {
  r->x.carrier = &carrier;
  r->x.user = s->user;
  r->x.context = s;
  r->x.heads = &s->heads;
  r->x.limits = &s->limits.head;
  gl_h1_reader_init(&r->reader, false, &s->limits.head, gl_conn_on_body);
  r->reader.keeps_trailers = true;
}

bool gl_conn_begin_request(gl_conn *c) {
  gl_conn_request *r = c->r = gl_server_request(c->server);
  if (!r) return false;
  if (!r->x.carrier) init_request(r, c->server);
  r->conn = c;
  r->x.eof = c->eof;
  return true;
}

void gl_conn_rest(gl_conn *c) {
  gl_conn_request *r = c->r;
  GL_CHECK(!r->reader.head && !r->x.head && !r->in.data && !r->x.body.data && !r->held && !r->x.takeover);
  drop_heads(c); /* trailers of a body that was not read */
  gl_server_drop_request(c->server, r);
  c->r = NULL;
}

static void free_request(gl_conn *c) {
  if (!c->r) return;
  drop_heads(c);
  gl_conn_drop_held(c);
  gl_buf_free(&c->r->in);
  gl_buf_free(&c->r->x.body);
  free(c->r);
  c->r = NULL;
}

void gl_conn_free(gl_conn *c) {
  gl_server *s = c->server;
  if (s->swept == c) s->swept = c->next;
  if (s->stopped == c) s->stopped = c->next;
  GL_CHECK(!has_user(c) && !c->stream && !(c->r && c->r->x.waiting));
  free_request(c);
  *c->at = c->next;
  if (c->next) c->next->at = c->at;
  free(c);
  gl_server_conn_closed(s);
}

static void on_closed(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (!c) return; /* the stream never became a connection */
  c->stream = NULL;
  if (!has_user(c)) gl_conn_free(c);
}

void gl_conn_close_gently(gl_conn *c, bool sending) {
  c->state = GL_CONN_LINGER;
  if (c->r) gl_buf_free(&c->r->in);
  if (!c->stream) return;
  gl_conn_set_deadline(c, sending && !c->eof ? GL_CONN_LINGER_SECONDS : c->server->limits.write_timeout);
  gl_stream_finish(c->stream, sending && !c->eof);
  gl_stream_read(c->stream);
}

void gl_conn_refuse(gl_conn *c, int status, const char *reason) {
  c->close_after = true;
  if (c->r->x.out == GL_OUT_HEAD) gl_failure_send(&c->r->x, gl_text_of("", 0), status, reason, true);
  gl_conn_close_gently(c, true);
}

void gl_conn_abort(gl_conn *c) {
  if (c->state == GL_CONN_H2) {
    gl_h2_abort(c->h2);
    return;
  }
  if (has_user(c)) {
    gl_conn_end_body(c);
    gl_conn_tell_body(c, UV_ECONNABORTED);
    c->r->x.user->abort(&c->r->x);
  }
  if (c->r && c->r->x.takeover) c->r->x.takeover->abort(c->r->x.proto);
  if (c->stream) gl_stream_close(c->stream);
}

void gl_conn_shutdown(gl_conn *c, bool fresh) {
  if (c->state == GL_CONN_H2) {
    gl_h2_shutdown(c->h2, fresh);
    return;
  }
  bool between = c->state == GL_CONN_STALLED || gl_conn_is_between(c);
  c->close_after = true;
  if (c->r && c->r->x.takeover) c->r->x.takeover->retire(c->r->x.proto);
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
  size_t used = gl_conn_consume(c, gl_buf_at(&c->r->in), c->r->in.len, now);
  if (c->state != GL_CONN_LINGER) gl_buf_eat(&c->r->in, used); /* else the head was refused, and c->r->in is empty */
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
  if (c->r->in.len) read_early(c, now);
  if (c->state == GL_CONN_LINGER) return;
  if (!c->r->in.len) gl_buf_free(&c->r->in);
  if (c->r->in.len <= GL_CONN_IN_HIGH) gl_stream_read(c->stream); /* also in RUN, to see the client leave */
  if (c->state == GL_CONN_RUN && c->eof) gl_conn_end_body(c); /* the client has ended, and the rest of the body will never come */
  if (c->state != GL_CONN_HEAD) return;
  if (!c->r->reader.head) gl_conn_rest(c);
  if (c->eof || c->server->closing) gl_conn_close_gently(c, false);
  if (c->stream) gl_stream_flush(c->stream); /* no further answer is about to join the output */
}

/* Decides what becomes of the connection once the answer is out. */
static void conclude(gl_conn *c) {
  gl_buf_free(&c->r->x.body);
  if (c->close_after || c->r->x.in == GL_IN_BAD || c->server->closing) {
    gl_conn_close_gently(c, c->r->x.in != GL_IN_DONE || c->r->in.len > 0);
  } else if (c->r->x.in == GL_IN_DONE) {
    next_request(c, true);
  } else if (c->r->wants_continue) { /* nobody can tell whether the client will send the body, and so where the next request begins */
    gl_conn_close_gently(c, true);
  } else {
    c->state = GL_CONN_DRAIN;
    gl_conn_set_deadline(c, c->server->limits.body_timeout);
    gl_stream_read(c->stream);
  }
}

void gl_conn_begin(gl_conn *c, bool now) {
  gl_head *h = c->r->reader.head;
  gl_exchange *x = &c->r->x;
  c->state = GL_CONN_RUN;
  c->fresh = false;
  c->close_after = !h->keep_alive || c->server->closing || c->server->crowded;
  c->r->body_waited = 0;
  c->r->wants_continue = h->expect_continue && h->has_body;
  c->r->out = (gl_body_out){.mode = GL_BODY_NONE};
  c->r->reader.head = NULL;
  x->head = h;
  x->minor = h->minor;
  x->begun = true;
  x->head_only = h->method == HTTP_HEAD;
  x->out = GL_OUT_HEAD;
  x->error = x->file_error = 0;
  x->why = NULL;
  x->arrived = 0;
  x->in = h->has_body ? GL_IN_BODY : GL_IN_DONE;
  x->to_come = c->r->reader.left;
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
  if (!c->stream) gl_conn_free(c);
  else if (!c->stream->closing) conclude(c);
}

static gl_stream *conn_take(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto) {
  gl_conn *c = gl_conn_of(x);
  gl_stream *stream = c->stream;
  *rest = c->r->in;
  c->r->in = (gl_buf){0};
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
  else gl_conn_free(c);
}

static void conn_renew(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  gl_conn_set_deadline(c, c->server->limits.request_timeout);
}

int gl_conn_peer(const gl_conn *c, struct sockaddr_storage *address, bool *secure) {
  gl_stream *s = c->stream;
  int len = sizeof *address;
  if (!s) return -1;
  *secure = c->announced && c->client->says_tls ? c->client->secure : c->server->tls != NULL;
  if (c->announced && c->client->family != AF_UNSPEC) {
    *address = c->client->address;
    return c->client->family;
  }
  if (s->uv.handle.type != UV_TCP || uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)address, &len) != 0) return AF_UNIX;
  return address->ss_family;
}

static int conn_peer(const gl_exchange *x, struct sockaddr_storage *address, bool *secure) { return gl_conn_peer(gl_conn_of(x), address, secure); }

static const gl_stream *conn_secured(const gl_exchange *x) {
  const gl_stream *s = gl_conn_of(x)->stream;
  return s && gl_tls_secured(s) ? s : NULL;
}

static const gl_carrier carrier = {
  .send_interim = gl_conn_send_interim, .send = gl_conn_send, .send_head = gl_conn_send_head, .send_body = gl_conn_send_body, .send_file = gl_conn_send_file, .finish = gl_conn_finish,
  .take_back = gl_conn_take_back, .cut = gl_conn_cut, .want = gl_conn_want, .is_full = gl_conn_is_full, .is_open = gl_conn_is_open,
  .renew = conn_renew, .release = conn_release, .peer = conn_peer, .secured = conn_secured, .take = conn_take,
  .stream_closed = conn_stream_closed,
};

/* ---- what the stream tells ---- */

static void on_drained(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (c->state == GL_CONN_STALLED && !stream->broken) next_request(c, false);
  else if (c->state == GL_CONN_RUN) gl_exchange_drained(&c->r->x, stream);
}

const gl_stream_user gl_conn_user = {gl_conn_on_data, gl_conn_on_end, on_drained, on_closed, gl_conn_on_blocked, .served = true};
