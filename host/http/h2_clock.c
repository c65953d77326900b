/* SPDX-License-Identifier: MIT
 *
 * The clocks of a connection of HTTP/2, which the server's sweep looks at now and then, as it does at those of http/conn_clock.c. Each
 * stream has its own deadline, and its own write clock: a client may take the bytes of one stream and not open the window of another.
 */
#include "http/h2.h"
#include "http/server.h"

void gl_h2_set_deadline(gl_h2_stream *st, double seconds) {
  st->deadline = uv_now(&gl_h2_server(st)->host->loop) + (uint64_t)(seconds * 1000);
}

void gl_h2_set_body_deadline(gl_h2_stream *st) {
  const gl_server_limits *l = &gl_h2_server(st)->limits;
  st->waiting_since = uv_now(&gl_h2_server(st)->host->loop);
  gl_h2_set_deadline(st, gl_server_body_time(l, st->x.arrived, st->body_waited));
}

void gl_h2_count_body_wait(gl_h2_stream *st) { st->body_waited += uv_now(&gl_h2_server(st)->host->loop) - st->waiting_since; }

/* Does the client take what waits in the stream? While the connection's own output waits, that clock runs alone. */
static bool takes_output(gl_h2_stream *st, uint64_t now) {
  bool moved = st->left != st->left_before || !st->stalled || st->h2->conn->blocked;
  st->stalled = st->out.len > 0;
  st->left_before = st->left;
  if (moved) st->write_deadline = now + (uint64_t)(gl_h2_server(st)->limits.write_timeout * 1000);
  return now < st->write_deadline;
}

/* Ends the body while the user waits for the body, else the exchange: their time is over. */
static void expire(gl_h2_stream *st) {
  gl_exchange *x = &st->x;
  if (x->waiting) gl_h2_fail_body(st, UV_ETIMEDOUT);
  else x->user->late(x);
  gl_h2_set_deadline(st, gl_h2_server(st)->limits.request_timeout);
}

static void sweep_stream(gl_h2_stream *st, uint64_t now) {
  if (!st->closed && !takes_output(st, now)) {
    st->reset_by_us = true;
    gl_h2_lose(st, UV_ETIMEDOUT);
    gl_h2_reset(st, NGHTTP2_CANCEL);
  } else if (st->state == GL_H2_RUN && !st->x.takeover && now >= st->deadline) {
    expire(st);
  } else if (st->state == GL_H2_HEAD && now >= st->deadline) {
    gl_h2_say_goodbye(st->h2, NGHTTP2_ENHANCE_YOUR_CALM); /* nothing else can come on the connection until that head is complete */
  }
}

/* Stops the write clock: all output is out. */
static void unblock(gl_h2 *h2) {
  gl_conn *c = h2->conn;
  c->blocked = false;
  if (h2->parting) gl_conn_set_deadline(c, GL_CONN_LINGER_SECONDS);
  else if (!h2->nstreams && !c->fresh) gl_conn_set_deadline(c, c->server->limits.keepalive_timeout);
}

static void sweep_idle(gl_h2 *h2, uint64_t now) {
  gl_conn *c = h2->conn;
  if (c->blocked || (now < c->deadline && (c->fresh || !c->server->crowded))) return;
  if (h2->parting) gl_stream_close(c->stream);
  else gl_h2_say_goodbye(h2, NGHTTP2_NO_ERROR);
}

bool gl_h2_sweep(gl_h2 *h2, uint64_t now) {
  gl_conn *c = h2->conn;
  if (c->blocked && !gl_stream_pending(c->stream)) unblock(h2);
  if (c->blocked && !gl_conn_takes_output(c, now)) {
    gl_stream_close(c->stream); /* on_closed tells the users */
    return true;
  }
  if (h2->parting || !h2->nstreams) sweep_idle(h2, now);
  for (gl_h2_stream *st = h2->parting ? NULL : h2->streams; st; st = st->next) sweep_stream(st, now); /* which frees none */
  if (h2->retiring && now >= h2->last_goodbye && !h2->parting) gl_h2_say_last(h2);
  gl_h2_pump(h2);
  return true;
}
