/* SPDX-License-Identifier: MIT
 *
 * The body of a request on its way out: bytes that are all there, or pieces that a writer brings one by one.
 */
#include "transport/roundtrip.h"

#define SLICE ((size_t)64 * 1024) /* bytes of a body that are written at a time */
#define CONTINUE_SECONDS 1.0      /* the wait for 100 Continue, which many servers do not know */

void gl_roundtrip_wake_writer(gl_roundtrip *rt, int status) {
  gl_op *op = rt->writer;
  rt->writer = NULL;
  rt->piece = (gl_upload_piece){0};
  if (op) gl_op_done(op, status);
}

/* Each call of the carrier may find that the connection is gone, and then the round trip is over or begins anew. So a step notes its
 * progress before it sends, and touches the round trip afterwards only if `x` is still the same. */

static void all_sent(gl_roundtrip *rt, uint64_t now) {
  if (!rt->headed) gl_roundtrip_enter(rt, GL_PHASE_HEAD, now);
}

/* Sends a piece. False: the round trip is over, or has another exchange. */
static bool send_piece(gl_roundtrip *rt, gl_exchange *x, gl_upload_piece p) {
  rt->uploaded += p.n;
  int err = p.file ? x->carrier->send_file(x, p.file, p.at, p.n) : x->carrier->send_body(x, p.bytes, (size_t)p.n);
  if (err && rt->x == x) gl_roundtrip_abort(rt, err, NULL);
  return rt->x == x;
}

static void finish(gl_roundtrip *rt, gl_exchange *x) {
  uint64_t missing = x->carrier->finish(x, &rt->tail);
  if (rt->x != x) return;
  if (missing) gl_roundtrip_abort(rt, UV_EINVAL, "the body is shorter than its length");
  else all_sent(rt, uv_hrtime());
}

static void pump_bytes(gl_roundtrip *rt, gl_exchange *x) {
  uint64_t length = (uint64_t)rt->request.length;
  while (rt->uploaded < length) {
    uint64_t at = rt->uploaded, left = length - at;
    if (!send_piece(rt, x, (gl_upload_piece){.bytes = rt->upload_body + at, .n = left < SLICE ? left : SLICE})) return;
    if (x->carrier->is_full(x) || rt->x != x) return; /* or the connection broke: is_full tries to write */
  }
  finish(rt, x);
}

static void pump_pieces(gl_roundtrip *rt, gl_exchange *x) {
  gl_upload_piece piece = rt->piece;
  rt->piece = (gl_upload_piece){0};
  if (piece.n && !send_piece(rt, x, piece)) return;
  if (rt->writer) {
    if (x->carrier->is_full(x) || rt->x != x) {
      if (piece.file && rt->x == x) rt->outstanding = x->carrier->outstanding(x); /* a file may take longer than a limit */
      return;
    }
    gl_roundtrip_wake_writer(rt, 0);
  }
  if (rt->finishing) finish(rt, x);
}

void gl_roundtrip_pump(gl_roundtrip *rt) {
  gl_exchange *x = rt->x;
  if (!x || x->out != GL_OUT_BODY || rt->held || rt->stopped) return;
  rt->progress = uv_hrtime();
  if (rt->upload == GL_UPLOAD_BYTES) pump_bytes(rt, x);
  else pump_pieces(rt, x);
}

void gl_roundtrip_go_on(gl_roundtrip *rt) {
  gl_timer_drop(&rt->pool->host->clock, &rt->hold);
  if (!rt->held) return;
  rt->held = false;
  gl_roundtrip_pump(rt);
}

static void on_hold(gl_timer *timer) { gl_roundtrip_go_on(GL_CONTAINER(timer, gl_roundtrip, hold)); }

void gl_roundtrip_stop_sending(gl_roundtrip *rt) {
  rt->stopped = true;
  rt->held = false;
  gl_timer_drop(&rt->pool->host->clock, &rt->hold);
  if (rt->x) rt->x->carrier->drop_file(rt->x);
  gl_roundtrip_wake_writer(rt, UV_EPIPE);
}

void gl_roundtrip_send_body(gl_roundtrip *rt) {
  if (rt->x->out == GL_OUT_DONE) { /* it went with the head */
    all_sent(rt, rt->progress);
    return;
  }
  rt->hold.fire = on_hold;
  rt->held = rt->request.expect && gl_timer_arm(&rt->pool->host->clock, &rt->hold, CONTINUE_SECONDS);
  gl_roundtrip_pump(rt);
}

void gl_roundtrip_write(gl_roundtrip *rt, gl_op *writer, gl_upload_piece piece) {
  rt->writer = writer;
  if (rt->over || rt->stopped) {
    gl_roundtrip_wake_writer(rt, UV_EPIPE);
    return;
  }
  rt->piece = piece;
  gl_roundtrip_pump(rt);
}

bool gl_roundtrip_finish(gl_roundtrip *rt, const gl_fields *trailers) {
  if (rt->over || rt->stopped || rt->finishing) return true;
  if (trailers->n && !gl_fields_copy(&rt->tail, trailers)) return false;
  rt->finishing = true;
  gl_roundtrip_pump(rt);
  return true;
}
