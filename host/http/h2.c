/* SPDX-License-Identifier: MIT */
#include "http/h2.h"

#include <stdlib.h>

#include "http/server.h"

#define WHOLE_WINDOW INT32_MAX /* of a connection: see invariant 4 */
#define QUOTA (256 * 1024)     /* bytes that leave in a turn, until other connections have theirs */
#define LAST_GOODBYE_MS 1000   /* how long after the first GOAWAY the last one is due */

/* ---- the end of the last stream ---- */

/* Frees the connection, which has no stream of bytes and no streams any more. */
static void free_conn(gl_h2 *h2) {
  gl_conn *c = h2->conn;
  gl_host *h = c->server->host;
  bool queued = gl_turn_is_queued(h, &h2->turn);
  h2->conn = NULL;
  h2->gone = true;
  c->state = GL_CONN_LINGER;
  c->r = NULL;
  gl_conn_free(c);
  if (!queued) free(h2);
}

void gl_h2_on_no_streams(gl_h2 *h2) {
  if (!h2->session) free_conn(h2);
  else if (h2->retiring && h2->told && !h2->parting) gl_h2_say_goodbye(h2, NGHTTP2_NO_ERROR);
  else if (!h2->parting) gl_conn_set_deadline(h2->conn, h2->conn->server->limits.keepalive_timeout);
}

/* All streams end with the connection, which nghttp2 will not be asked about any more. */
static void lose_all(gl_h2 *h2, int status) {
  for (gl_h2_stream *st = h2->streams, *next; st; st = next) {
    next = st->next;
    if (!st->closed) gl_h2_lose(st, status);
    st->closed = true;
    if (st->state == GL_H2_RUN || st->taken) continue;
    bool last = h2->nstreams == 1;
    gl_h2_settle(st);
    if (last) return; /* the connection may be freed */
  }
}

/* ---- what leaves ---- */

void gl_h2_touch(gl_h2 *h2) {
  if (h2->session) gl_at_turn_end(h2->conn->server->host, &h2->turn);
}

/* nghttp2 has said all that it will: closes once that has left, but gives the client time to read it. */
static void part(gl_h2 *h2) {
  gl_conn *c = h2->conn;
  h2->parting = true;
  gl_conn_set_deadline(c, GL_CONN_LINGER_SECONDS);
  gl_stream_finish(c->stream, !c->eof);
  lose_all(h2, UV_ECONNRESET);
}

/* nghttp2 has failed, for good. */
static void fail(gl_h2 *h2, int error) {
  uint32_t code = h2->fault ? h2->fault : error == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
    : error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_INTERNAL_ERROR;
  h2->fault = code;
  gl_h2_say_goodbye(h2, code);
}

bool gl_h2_may_write(gl_h2 *h2) {
  gl_stream *s = h2->conn->stream;
  return h2->quota > 0 && !gl_stream_is_mute(s) && !gl_stream_full(s);
}

static ssize_t write_some(gl_h2 *h2, gl_stream *s) {
  const uint8_t *bytes;
  ssize_t n = 0;
  h2->busy = true;
  h2->quota = QUOTA;
  while (gl_h2_may_write(h2) && (n = nghttp2_session_mem_send(h2->session, &bytes)) > 0) {
    gl_stream_write(s, bytes, (size_t)n);
    h2->quota -= n;
  }
  h2->busy = false;
  if (h2->quota <= 0) gl_h2_touch(h2);
  return n;
}

void gl_h2_pump(gl_h2 *h2) {
  gl_stream *s = h2->session ? h2->conn->stream : NULL;
  if (h2->busy || h2->parting || !s || s->closing) return;
  ssize_t n = write_some(h2, s);
  if (n < 0) {
    fail(h2, (int)n);
    if (!s->closing && write_some(h2, s) < 0) gl_stream_close(s);
  }
  if (s->closing) return;
  gl_stream_flush(s);
  if (!s->closing && !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session)) part(h2);
}

static void on_turn(gl_turn_hook *turn) {
  gl_h2 *h2 = GL_CONTAINER(turn, gl_h2, turn);
  if (h2->gone) free(h2);
  else gl_h2_pump(h2);
}

void gl_h2_say_goodbye(gl_h2 *h2, uint32_t code) {
  if (nghttp2_session_terminate_session(h2->session, code) != 0) gl_stream_close(h2->conn->stream);
  gl_h2_touch(h2);
}

void gl_h2_say_last(gl_h2 *h2) {
  h2->told = true;
  if (h2->last_said || h2->conn->fresh) return;
  h2->last_said = true;
  if (!h2->nstreams) {
    gl_h2_say_goodbye(h2, NGHTTP2_NO_ERROR);
    return;
  }
  nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR, NULL, 0);
  gl_h2_touch(h2);
}

/* ---- what nghttp2 tells ---- */

static int ok(bool goes_on) { return goes_on ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE; }

static gl_h2_stream *stream_of(nghttp2_session *session, const nghttp2_frame *frame) {
  return nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  (void)session;
  return frame->headers.cat != NGHTTP2_HCAT_REQUEST ? 0 : ok(gl_h2_begin_request(user, frame->hd.stream_id));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user) {
  gl_h2_stream *st = stream_of(session, frame);
  (void)flags, (void)user;
  return !st ? 0 : ok(gl_h2_on_field(st, frame->headers.cat != NGHTTP2_HCAT_REQUEST, name, value));
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user) {
  gl_h2_stream *st = stream_of(session, frame);
  (void)name, (void)value, (void)flags, (void)user;
  return !st ? 0 : ok(gl_h2_on_bad_field(st));
}

static void on_headers_or_body(gl_h2_stream *st, const nghttp2_frame *frame) {
  bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  if (frame->hd.type == NGHTTP2_DATA && ends) gl_h2_on_last(st);
  else if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) gl_h2_on_head(st, ends);
  else if (frame->hd.type == NGHTTP2_HEADERS) gl_h2_on_trailers(st);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  gl_h2 *h2 = user;
  gl_h2_stream *st = frame->hd.stream_id ? stream_of(session, frame) : NULL;
  if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK && h2->retiring) gl_h2_say_last(h2);
  if (st && frame->hd.type == NGHTTP2_RST_STREAM) st->reset_by_client = true;
  if (st) on_headers_or_body(st, frame);
  return ok(gl_h2_guard_frame(h2, frame));
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *user) {
  gl_h2_stream *st = nghttp2_session_get_stream_user_data(session, id);
  (void)flags;
  if (nghttp2_session_consume_connection(session, n) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
  gl_h2_guard_work(user, n);
  if (st) gl_h2_on_body(st, (const char *)bytes, n);
  return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  (void)user;
  if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  gl_h2_stream *st = stream_of(session, frame);
  if (!st) return 0;
  st->sent = true;
  if (st->state == GL_H2_LEFT && !st->taken && st->x.in != GL_IN_DONE) { /* the rest of the body is not wanted (RFC 9113, 8.1) */
    st->reset_by_us = true;
    gl_h2_reset(st, NGHTTP2_NO_ERROR);
  }
  return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
  gl_h2_stream *st = nghttp2_session_get_stream_user_data(session, id);
  bool early = code != NGHTTP2_NO_ERROR || (st && st->reset_by_client);
  bool goes_on = !early || (st && st->reset_by_us) || gl_h2_guard_reset(user);
  if (!st) return ok(goes_on);
  st->closed = true;
  bool whole = st->sent && (st->x.in == GL_IN_DONE || !early);
  if (!whole) gl_h2_lose(st, code == NGHTTP2_PROTOCOL_ERROR && !st->reset_by_client ? UV_EPROTO : UV_ECONNRESET);
  gl_h2_settle(st);
  return ok(goes_on);
}

static void set_callbacks(nghttp2_session_callbacks *c) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
  nghttp2_session_callbacks_set_send_data_callback(c, gl_h2_on_frame_data);
}

/* ---- what the stream of bytes tells ---- */

void gl_h2_read(gl_h2 *h2, const char *bytes, size_t n) {
  if (h2->parting || h2->fault || !n) return;
  h2->busy = true;
  ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes, n);
  h2->busy = false;
  if (used < 0) fail(h2, (int)used);
  gl_h2_pump(h2);
}

static void on_bytes(gl_stream *s, const char *bytes, size_t n) { gl_h2_read(((gl_conn *)s->owner)->h2, bytes, n); }

/* The client sends nothing more, but may still read: what was asked for is answered, as far as its windows go. */
static void on_half_end(gl_h2 *h2) {
  for (gl_h2_stream *st = h2->streams; st; st = st->next) {
    if (st->tunnel) gl_stream_finish(st->tunnel, true);
    if (st->state != GL_H2_RUN || st->closed || st->x.takeover) continue;
    st->x.eof = true;
    gl_h2_fail_body(st, UV_ECONNRESET);
    st->x.user->gone(&st->x, UV_EOF);
  }
}

static void on_end(gl_stream *s, int status) {
  gl_conn *c = s->owner;
  gl_h2 *h2 = c->h2;
  c->eof = true;
  if (status != UV_EOF) {
    gl_stream_close(s);
    lose_all(h2, status);
  } else if (h2->parting || !h2->nstreams) {
    gl_stream_finish(s, false); /* the client may still be reading */
  } else {
    h2->retiring = h2->told = true;
    on_half_end(h2);
  }
}

static void on_drained(gl_stream *s) { gl_h2_pump(((gl_conn *)s->owner)->h2); }

static void on_closed(gl_stream *s) {
  gl_conn *c = s->owner;
  gl_h2 *h2 = c->h2;
  c->stream = NULL;
  nghttp2_session_del(h2->session);
  h2->session = NULL;
  if (h2->nstreams) lose_all(h2, UV_ECONNABORTED);
  else free_conn(h2);
}

static const gl_stream_user h2_user = {on_bytes, on_end, on_drained, on_closed, gl_conn_on_blocked, .served = true};

/* ---- life of the connection ---- */

static bool greet(gl_h2 *h2) {
  const gl_server_limits *l = &h2->conn->server->limits;
  nghttp2_settings_entry settings[] = {
    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->max_streams},
    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->head.bytes + l->head.target},
    {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
  };
  return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) == 0 &&
    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, WHOLE_WINDOW) == 0;
}

static gl_h2 *h2_new(gl_conn *c) {
  gl_h2 *h2 = calloc(1, sizeof *h2);
  if (!h2) return NULL;
  h2->conn = c;
  h2->turn.run = on_turn;
  h2->session = gl_h2_session_new(set_callbacks, h2);
  if (h2->session && greet(h2)) return h2;
  if (h2->session) nghttp2_session_del(h2->session);
  free(h2);
  return NULL;
}

void gl_h2_begin(gl_conn *c, const char *bytes, size_t n) {
  gl_h2 *h2 = h2_new(c);
  if (!h2) {
    gl_stream_close(c->stream);
    return;
  }
  c->state = GL_CONN_H2;
  c->h2 = h2;
  c->stream->user = &h2_user;
  gl_h2_guard_begin(h2);
  gl_h2_touch(h2);
  if (c->server->closing) gl_h2_shutdown(h2, true);
  gl_h2_read(h2, bytes, n);
}

void gl_h2_shutdown(gl_h2 *h2, bool fresh) {
  gl_conn *c = h2->conn;
  if (!h2->session || h2->parting || h2->retiring) return;
  h2->retiring = true;
  for (gl_h2_stream *st = h2->streams; st; st = st->next)
    if (st->x.takeover) st->x.takeover->retire(st->x.proto);
  if (!h2->nstreams && !(c->fresh && fresh)) {
    gl_h2_say_goodbye(h2, NGHTTP2_NO_ERROR);
    gl_h2_pump(h2); /* now: the end of the turn would have to write for all connections at once */
    return;
  }
  nghttp2_submit_shutdown_notice(h2->session);
  nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
  h2->last_goodbye = uv_now(&c->server->host->loop) + LAST_GOODBYE_MS;
  gl_h2_touch(h2);
}

void gl_h2_abort(gl_h2 *h2) {
  for (gl_h2_stream *st = h2->streams; st; st = st->next) {
    if (st->x.takeover) st->x.takeover->abort(st->x.proto);
    if (st->state != GL_H2_RUN) continue;
    gl_h2_fail_body(st, UV_ECONNABORTED);
    st->x.user->abort(&st->x);
  }
  if (h2->session) gl_stream_close(h2->conn->stream);
}
