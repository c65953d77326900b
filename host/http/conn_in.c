/* SPDX-License-Identifier: MIT
 *
 * What arrives on a connection: bytes, which become heads and bodies (h1/reader.h), and the peer's end.
 */
#include <string.h>

#include "http/conn.h"
#include "http/h2.h"
#include "http/server.h"

#define BODY_HIGH ((size_t)256 * 1024) /* bytes of a body that are kept while the user does not ask for them */
#define DRAIN_MAX ((uint64_t)1 << 20)  /* bytes of an unread body that are read away at most to keep the connection */

/* ---- time for a body ---- */

static void set_body_deadline(gl_conn *c) {
  c->r->waiting_since = uv_now(&c->server->host->loop);
  gl_conn_set_deadline(c, gl_server_body_time(&c->server->limits, c->r->reader.body_read, c->r->body_waited));
}

static void count_body_wait(gl_conn *c) { c->r->body_waited += uv_now(&c->server->host->loop) - c->r->waiting_since; }

/* ---- what the user of the exchange knows of the body ---- */

void gl_conn_set_in(gl_conn *c) {
  static const uint8_t of[] = {[GL_H1_HEAD] = GL_IN_HEAD, [GL_H1_BODY] = GL_IN_BODY, [GL_H1_TRAILERS] = GL_IN_BODY,
    [GL_H1_DONE] = GL_IN_DONE, [GL_H1_BAD] = GL_IN_BAD};
  c->r->x.in = of[c->r->reader.state];
  c->r->x.to_come = c->r->reader.left;
  c->r->x.arrived = c->r->reader.body_read;
  if (c->r->x.in == GL_IN_DONE && c->r->reader.trailers) {
    c->r->x.trailers = c->r->reader.trailers;
    c->r->reader.trailers = NULL;
  }
  if (c->r->x.in != GL_IN_BAD || c->r->x.error) return;
  c->r->x.error = c->r->reader.no_memory ? UV_ENOMEM : UV_EPROTO;
  c->r->x.why = c->r->reader.wrong;
}

void gl_conn_tell_body(gl_conn *c, int status) {
  if (!c->r->x.waiting) return;
  c->r->x.waiting = false;
  c->r->x.user->body(&c->r->x, status);
}

/* Tells the user if enough of the body came or the body is bad, and holds the client back when the user does not read. */
static void body_arrived(gl_conn *c) {
  gl_exchange *x = &c->r->x;
  if (x->in == GL_IN_BAD) {
    gl_conn_tell_body(c, x->error);
  } else if (x->waiting) {
    bool enough = x->in == GL_IN_DONE || x->body.len > x->wanted;
    count_body_wait(c);
    if (enough) gl_conn_set_deadline(c, c->server->limits.request_timeout);
    else set_body_deadline(c);
    if (enough) gl_conn_tell_body(c, 0);
  }
  if (c->stream && !x->waiting && x->in == GL_IN_BODY && x->body.len > BODY_HIGH) gl_stream_pause(c->stream);
}

void gl_conn_want(gl_exchange *x, size_t more_than) {
  gl_conn *c = gl_conn_of(x);
  if (!c->stream) return;
  x->waiting = true;
  x->wanted = more_than;
  if (c->r->wants_continue && (x->out == GL_OUT_HEAD || c->r->held)) gl_stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  c->r->wants_continue = false;
  set_body_deadline(c);
  gl_stream_read(c->stream);
}

bool gl_conn_on_body(gl_h1_reader *r, const char *at, size_t n) {
  gl_conn *c = GL_CONTAINER(r, gl_conn_request, reader)->conn;
  c->r->wants_continue = false;
  if (c->state == GL_CONN_DRAIN) return r->body_read <= DRAIN_MAX;
  if (gl_buf_add(&c->r->x.body, at, n)) return true;
  gl_buf_free(&c->r->x.body); /* the body is bad now: its memory may serve other connections */
  c->r->x.error = UV_ENOMEM;
  return false;
}

/* ---- bytes ---- */

static bool begin_head(gl_conn *c) {
  if (!c->r && !gl_conn_begin_request(c)) return false;
  gl_head *head = gl_heads_take(&c->server->heads);
  if (!head) return false;
  gl_h1_reader_next(&c->r->reader, head);
  c->r->x.out = GL_OUT_HEAD; /* from now on there is something to answer, if only by 408 */
  c->r->x.head_only = false;
  c->r->x.minor = 1;
  gl_conn_set_deadline(c, c->server->limits.header_timeout);
  return true;
}

#define PREFACE "PRI * HTTP/2" /* what is read of a client's preface until it is seen to be one (RFC 9113, 3.4) */

/* Is a head that was refused the preface of HTTP/2, which is made to look like a request of which the version is unknown? `last`: the byte
 * at which it was refused. With TLS the client would have said so before (ALPN). */
static bool is_preface(const gl_conn *c, char last) {
  const gl_head *h = c->r->reader.head;
  return c->fresh && h->refuse_status == 505 && last == '2' && h->raw == sizeof PREFACE - 1 && h->method_len == 3 && h->target_len == 1 &&
    memcmp(h->method_name, "PRI", 3) == 0 && *h->text == '*' && !c->stream->filter && gl_server_speaks_h2(c->server);
}

static void become_h2(gl_conn *c, const char *rest, size_t n) {
  gl_heads_give(&c->server->heads, c->r->reader.head);
  c->r->reader.head = NULL;
  gl_conn_rest(c);
  gl_h2_begin(c, PREFACE, sizeof PREFACE - 1);
  if (c->state == GL_CONN_H2) gl_h2_read(c->h2, rest, n);
}

static void refuse_head(gl_conn *c, char last, const char *rest, size_t n) {
  c->r->x.in = GL_IN_DONE;
  if (is_preface(c, last)) become_h2(c, rest, n);
  else gl_conn_refuse(c, c->r->reader.head->refuse_status, c->r->reader.head->refuse_reason);
}

static size_t feed_head(gl_conn *c, const char *bytes, size_t n, bool now) {
  if ((!c->r || !c->r->reader.head) && !begin_head(c)) {
    gl_stream_close(c->stream);
    return n;
  }
  size_t used = gl_h1_read_head(&c->r->reader, bytes, n);
  if (c->r->reader.head->refuse_status) {
    refuse_head(c, used ? bytes[used - 1] : 0, bytes + used, n - used);
    return n;
  }
  if (c->r->reader.state != GL_H1_HEAD) gl_conn_begin(c, now);
  return used;
}

static size_t feed_body(gl_conn *c, const char *bytes, size_t n) {
  size_t used = gl_h1_read_body(&c->r->reader, bytes, n);
  gl_conn_set_in(c);
  if (c->state == GL_CONN_RUN) {
    body_arrived(c);
  } else if (c->r->x.in == GL_IN_BAD) {
    gl_conn_close_gently(c, true);
  } else if (c->r->x.in == GL_IN_DONE) {
    c->state = GL_CONN_HEAD;
    gl_conn_rest(c);
    gl_conn_set_deadline(c, c->server->limits.keepalive_timeout);
  }
  return used;
}

size_t gl_conn_consume(gl_conn *c, const char *bytes, size_t n, bool now) {
  size_t used = 0;
  while (used < n) {
    if (c->state == GL_CONN_HEAD) used += feed_head(c, bytes + used, n - used, now);
    else if (c->state == GL_CONN_LINGER) return n;
    else if (c->r->x.in == GL_IN_BODY) used += feed_body(c, bytes + used, n - used);
    else break;
  }
  return used;
}

void gl_conn_on_data(gl_stream *stream, const char *bytes, size_t n) {
  gl_conn *c = stream->owner;
  size_t used = c->r && c->r->in.len ? 0 : gl_conn_consume(c, bytes, n, false);
  if (used == n) return;
  bool kept = gl_buf_add(&c->r->in, bytes + used, n - used);
  if (!kept && c->state != GL_CONN_RUN) gl_conn_abort(c);
  else if (!kept) c->close_after = true; /* a client whose early bytes find no memory asks again, on another connection */
  if (!kept || c->r->in.len > GL_CONN_IN_HIGH) gl_stream_pause(stream);
}

/* ---- the peer's end ---- */

void gl_conn_end_body(gl_conn *c) {
  if (c->r->x.in == GL_IN_BODY) c->r->x.error = UV_ECONNRESET; /* the reason if the reader finds the body cut short */
  gl_h1_read_end(&c->r->reader);
  gl_conn_set_in(c);
}

static void note_end(gl_conn *c) {
  c->eof = true;
  if (c->r) c->r->x.eof = true;
}

void gl_conn_lose(gl_conn *c, int status) {
  note_end(c);
  if (c->state == GL_CONN_RUN) {
    gl_conn_end_body(c);
    gl_conn_tell_body(c, UV_ECONNRESET);
    c->r->x.user->gone(&c->r->x, status);
  }
  if (status != UV_EOF) gl_stream_close(c->stream); /* after UV_EOF the connection is half closed: the client still wants its answer */
}

void gl_conn_on_end(gl_stream *stream, int status) {
  gl_conn *c = stream->owner;
  if (c->state == GL_CONN_RUN || status != UV_EOF) {
    gl_conn_lose(c, status);
    return;
  }
  note_end(c);
  gl_stream_finish(stream, false); /* the client may still be reading the last answer */
}
