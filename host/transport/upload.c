/* SPDX-License-Identifier: MIT
 *
 * The body of a request on its way out: bytes that are all there, or pieces that a writer brings one by one.
 */
#include <stdio.h>

#include "transport/roundtrip.h"

#define SLICE ((size_t)64 * 1024) /* bytes of a body that are written at a time */
#define CONTINUE_SECONDS 1.0      /* the wait for 100 Continue, which many servers do not know */

void gl_roundtrip_wake_writer(gl_roundtrip *rt, int status) {
  gl_op *op = rt->writer;
  rt->writer = NULL;
  rt->piece = NULL;
  if (op) gl_op_done(op, status);
}

/* Each write below may find that the connection is gone, and then the round trip is over or begins anew. So a step notes its progress
 * before it writes, and touches the round trip after a write only if `conn` is still the same. */

static void all_sent(gl_roundtrip *rt) {
  rt->sent = true;
  if (!rt->headed) gl_roundtrip_enter(rt, GL_PHASE_HEAD);
}

static void pump_bytes(gl_roundtrip *rt) {
  gl_outbound *c = rt->conn;
  while (rt->uploaded < rt->upload_len) {
    size_t n = rt->upload_len - rt->uploaded;
    if (n > SLICE) n = SLICE;
    const char *slice = rt->upload_body + rt->uploaded;
    rt->uploaded += n;
    gl_stream_write(c->stream, slice, n);
    if (gl_stream_full(c->stream) || rt->conn != c) return; /* or the connection broke: gl_stream_full tries to write */
  }
  all_sent(rt);
}

static void write_piece(gl_roundtrip *rt, gl_stream *s) {
  char line[24];
  const char *piece = rt->piece;
  size_t n = rt->piece_len;
  rt->piece = NULL;
  rt->uploaded += n;
  if (rt->chunked) gl_stream_write(s, line, (size_t)snprintf(line, sizeof line, "%zx\r\n", n));
  gl_stream_write(s, piece, n);
  if (rt->chunked) gl_stream_write(s, "\r\n", 2);
}

static void pump_pieces(gl_roundtrip *rt) {
  gl_outbound *c = rt->conn;
  if (rt->piece) write_piece(rt, c->stream);
  if (rt->conn != c) return;
  if (rt->writer) {
    if (gl_stream_full(c->stream) || rt->conn != c) return;
    gl_roundtrip_wake_writer(rt, 0);
  }
  if (!rt->finishing) return;
  if (rt->tail.len) gl_stream_write(c->stream, gl_buf_at(&rt->tail), rt->tail.len);
  gl_buf_free(&rt->tail);
  if (rt->conn == c) all_sent(rt);
}

void gl_roundtrip_pump(gl_roundtrip *rt) {
  rt->progress = uv_hrtime();
  if (rt->over || rt->held || rt->stopped || rt->sent || !rt->conn || rt->conn->state != GL_OUTBOUND_BUSY) return;
  switch (rt->upload) {
    case GL_UPLOAD_NONE: all_sent(rt); break;
    case GL_UPLOAD_BYTES: pump_bytes(rt); break;
    case GL_UPLOAD_PIECES: pump_pieces(rt); break;
  }
}

static void on_hold(gl_timer *timer) {
  gl_roundtrip *rt = GL_CONTAINER(timer, gl_roundtrip, hold);
  rt->held = false;
  gl_roundtrip_pump(rt);
}

void gl_roundtrip_stop_sending(gl_roundtrip *rt) {
  rt->stopped = true;
  rt->held = false;
  gl_timer_drop(&rt->pool->host->clock, &rt->hold);
  gl_roundtrip_wake_writer(rt, UV_EPIPE);
}

void gl_roundtrip_send_body(gl_roundtrip *rt) {
  rt->hold.fire = on_hold;
  rt->held = rt->expect && gl_timer_arm(&rt->pool->host->clock, &rt->hold, CONTINUE_SECONDS);
  gl_roundtrip_pump(rt);
}

void gl_roundtrip_write(gl_roundtrip *rt, gl_op *writer, const char *bytes, size_t n) {
  rt->writer = writer;
  if (rt->over || rt->stopped) {
    gl_roundtrip_wake_writer(rt, UV_EPIPE);
    return;
  }
  rt->piece = bytes;
  rt->piece_len = n;
  gl_roundtrip_pump(rt);
}

bool gl_roundtrip_finish(gl_roundtrip *rt, const char *trailers, size_t n) {
  if (rt->over || rt->stopped || rt->finishing) return true;
  if (rt->chunked && !(gl_buf_add(&rt->tail, "0\r\n", 3) && gl_buf_add(&rt->tail, trailers, n) && gl_buf_add(&rt->tail, "\r\n", 2))) return false;
  rt->finishing = true;
  gl_roundtrip_pump(rt);
  return true;
}
