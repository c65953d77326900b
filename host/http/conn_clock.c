/* SPDX-License-Identifier: MIT
 *
 * The clocks of a connection. None of the clocks has a timer: the server's sweep looks at each connection now and then, which
 * costs a request nothing.
 */
#include "http/conn.h"
#include "http/h2.h"
#include "http/server.h"

void gl_conn_set_deadline(gl_conn *c, double seconds) {
  c->deadline = uv_now(&c->server->host->loop) + (uint64_t)(seconds * 1000);
}

/* ---- what was written ---- */

static void restart_write_clock(gl_conn *c, uint64_t delivered, uint64_t now) {
  c->delivered = delivered;
  c->write_deadline = now + (uint64_t)(c->server->limits.write_timeout * 1000);
}

void gl_conn_on_blocked(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (c->blocked) return;
  c->blocked = true;
  restart_write_clock(c, 0, uv_now(&c->server->host->loop));
}

/* Does the client take what was written? Each sweep asks, so that a slow client, which takes a little each time, is not
 * mistaken for one that takes nothing. */
bool gl_conn_takes_output(gl_conn *c, uint64_t now) {
  uint64_t delivered = gl_stream_delivered(c->stream);
  if (delivered == c->delivered) return now < c->write_deadline;
  restart_write_clock(c, delivered, now);
  return true;
}

/* Stops the write clock: all output is out, and what the connection waits for next has its time from now on. */
static void unblock(gl_conn *c) {
  c->blocked = false;
  if (c->state == GL_CONN_LINGER) gl_conn_set_deadline(c, GL_CONN_LINGER_SECONDS);
  else if (gl_conn_is_between(c) && !c->fresh) gl_conn_set_deadline(c, c->server->limits.keepalive_timeout); /* a fresh one wrote for TLS only */
  else if (c->state == GL_CONN_DRAIN) gl_conn_set_deadline(c, c->server->limits.body_timeout);
}

/* Does only the write clock run? While output waits outside of an exchange, what follows an answer has its time once the answer is out. */
static bool is_taking(const gl_conn *c) { return c->blocked && c->state != GL_CONN_RUN && !(c->r && c->r->reader.head); }

/* ---- the deadline ---- */

/* Ends the body while the user waits for the body, else the exchange: their time is over. */
static void expire(gl_conn *c) {
  gl_exchange *x = &c->r->x;
  if (x->waiting) {
    c->r->reader.state = GL_H1_BAD;
    c->close_after = true;
    x->error = UV_ETIMEDOUT;
    gl_conn_set_in(c);
    gl_conn_tell_body(c, UV_ETIMEDOUT);
  } else {
    if (x->out != GL_OUT_BODY) c->close_after = true;
    x->user->late(x);
  }
  gl_conn_set_deadline(c, c->server->limits.request_timeout);
}

/* Is the connection between two requests, with nothing on the way in or out? */
static bool is_idle(const gl_conn *c) { return gl_conn_is_between(c) && !c->fresh && !c->blocked; }

static bool is_due(const gl_conn *c, uint64_t now) { return now >= c->deadline || (is_idle(c) && c->server->crowded); }

/* Closes a connection that has no request, now. Over TLS the client is told that this is the end, if the kernel takes so much. */
static void close_idle(gl_conn *c) {
  if (c->stream->filter && gl_conn_is_between(c)) {
    gl_stream_finish(c->stream, false);
    gl_stream_flush(c->stream);
  }
  gl_stream_close(c->stream);
}

bool gl_conn_sweep(gl_conn *c, uint64_t now) {
  if (!c->stream || c->stream->closing) return false;
  if (c->state == GL_CONN_H2) return gl_h2_sweep(c->h2, now);
  if (c->state == GL_CONN_RUN) gl_stream_look(c->stream); /* has the client of a handler that does not read the body left? */
  if (c->blocked && !gl_stream_pending(c->stream)) unblock(c);
  bool lost = c->blocked && !gl_conn_takes_output(c, now);
  if (!lost && (is_taking(c) || !is_due(c, now))) return c->blocked;
  if (lost) gl_conn_lose(c, UV_ETIMEDOUT);
  else if (c->state == GL_CONN_RUN) expire(c);
  else if (c->state == GL_CONN_HEAD && c->r) gl_conn_refuse(c, 408, "the request head took too long");
  else close_idle(c);
  return true;
}
