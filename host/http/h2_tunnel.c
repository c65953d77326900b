/* SPDX-License-Identifier: MIT
 *
 * WebSockets over HTTP/2 (RFC 8441): the protocol that takes an exchange over gets a stream, as it does from HTTP/1. It is one end of a pair of
 * sockets, of which we have the other, `tunnel`, so that no protocol has to know what it travels on; each side's kernel buffer is all that
 * is between them, and back-pressure goes through both:
 *
 *     client --DATA--> gl_h2_tunnel_in --> tunnel ==pair==> the protocol     the client's window opens as the protocol reads
 *     client <--DATA-- st->out <--on_data-- tunnel <==pair== the protocol    the tunnel is read as `out` leaves
 *
 * The end goes through as well: END_STREAM becomes the end of the pair, and the end of the pair END_STREAM. A stream that is reset, or whose
 * connection is gone, closes the pair.
 */
#include <unistd.h>

#include "http/h2.h"
#include "http/server.h"

static void on_data(gl_stream *s, const char *bytes, size_t n) {
  gl_h2_stream *st = s->owner;
  if (!st || !gl_h2_is_live(st)) return;
  if (!gl_buf_add(&st->out, bytes, n)) {
    gl_h2_reset(st, NGHTTP2_INTERNAL_ERROR);
    gl_h2_tunnel_drop(st);
    return;
  }
  gl_h2_resume(st);
  if (st->out.len > GL_H2_OUT_HIGH) gl_stream_pause(s);
}

static void on_end(gl_stream *s, int status) {
  gl_h2_stream *st = s->owner;
  (void)status;
  if (!st || !gl_h2_is_live(st)) return;
  st->complete = true;
  gl_h2_resume(st);
}

static void on_drained(gl_stream *s) {
  gl_h2_stream *st = s->owner;
  if (!st || !gl_h2_is_live(st)) return;
  gl_h2_give_back(st);
  gl_h2_touch(st->h2);
}

static void on_closed(gl_stream *s) {
  gl_h2_stream *st = s->owner;
  if (!st) return;
  st->tunnel = NULL;
  if (!st->complete) gl_h2_reset(st, NGHTTP2_INTERNAL_ERROR); /* it was closed for a lack of memory, and what the protocol said is lost */
}

static const gl_stream_user tunnel_user = {on_data, on_end, on_drained, on_closed, .served = true};

void gl_h2_tunnel_drop(gl_h2_stream *st) {
  gl_stream *s = st->tunnel;
  if (!s) return;
  st->tunnel = NULL;
  s->owner = NULL;
  gl_stream_close(s);
}

/* Makes a stream of one end of the pair. NULL: it was not possible, and the descriptor is closed. */
static gl_stream *end_of(gl_host *h, uv_os_sock_t fd) {
  gl_stream *s = gl_stream_new(h, AF_UNIX, &tunnel_user, NULL);
  if (s && uv_pipe_open(&s->uv.pipe, fd) == 0) return s;
  if (s) gl_stream_close(s);
  close(fd);
  return NULL;
}

gl_stream *gl_h2_take(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto) {
  gl_h2_stream *st = gl_h2_of(x);
  gl_host *h = gl_h2_server(st)->host;
  uv_os_sock_t fds[2];
  if (uv_socketpair(SOCK_STREAM, 0, fds, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE) != 0) return NULL;
  gl_stream *ours = end_of(h, fds[0]), *theirs = end_of(h, fds[1]);
  if (!ours || !theirs) {
    if (ours) gl_stream_close(ours);
    if (theirs) gl_stream_close(theirs);
    return NULL;
  }
  *rest = x->body;
  x->body = (gl_buf){0};
  x->out = GL_OUT_DONE;
  x->takeover = takeover;
  x->proto = proto;
  st->taken = true;
  st->body.mode = GL_BODY_NONE;
  ours->owner = st;
  st->tunnel = ours;
  gl_stream_read(ours);
  gl_h2_give_back(st);
  gl_h2_touch(st->h2);
  if (x->in != GL_IN_BODY) gl_stream_finish(ours, true); /* the client has ended already */
  return theirs;
}

void gl_h2_stream_closed(gl_exchange *x) {
  gl_h2_stream *st = gl_h2_of(x);
  st->taken = false;
  if (st->state == GL_H2_RUN) return;
  x->takeover = NULL;
  gl_h2_end(st);
}

void gl_h2_tunnel_in(gl_h2_stream *st, const char *bytes, size_t n) {
  gl_stream_write(st->tunnel, bytes, n);
  if (!gl_stream_full(st->tunnel)) gl_h2_give_back(st);
}
