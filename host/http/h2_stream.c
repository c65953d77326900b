/* SPDX-License-Identifier: MIT
 *
 * The streams of a connection of HTTP/2 as exchanges: how they end, by either side.
 */
#include <stdlib.h>

#include "http/h2.h"
#include "http/server.h"
#include "net/tls.h"

/* ---- the end ---- */

static void drop_heads(gl_h2_stream *st) {
  gl_exchange *x = &st->x;
  gl_h2_request_drop(&st->request);
  if (st->request.head) gl_heads_give(x->heads, st->request.head);
  if (x->head) gl_heads_give(x->heads, x->head);
  if (st->trailers) gl_heads_give(x->heads, st->trailers);
  if (x->trailers) gl_heads_give(x->heads, x->trailers);
  st->request.head = x->head = st->trailers = x->trailers = NULL;
}

void gl_h2_settle(gl_h2_stream *st) {
  gl_h2 *h2 = st->h2;
  if (!st->closed || st->state == GL_H2_RUN || st->taken) return;
  drop_heads(st);
  gl_h2_drop_response(st);
  gl_h2_tunnel_drop(st);
  gl_buf_free(&st->x.body);
  *st->at = st->next;
  if (st->next) st->next->at = st->at;
  free(st);
  if (--h2->nstreams == 0) gl_h2_on_no_streams(h2);
}

void gl_h2_reset(gl_h2_stream *st, uint32_t code) {
  if (!gl_h2_is_live(st)) return;
  if (nghttp2_submit_rst_stream(st->h2->session, NGHTTP2_FLAG_NONE, st->id, code) != 0) gl_stream_close(st->h2->conn->stream);
  gl_h2_touch(st->h2);
}

void gl_h2_lose(gl_h2_stream *st, int status) {
  gl_exchange *x = &st->x;
  gl_h2_drop_response(st);
  gl_h2_tunnel_drop(st);
  if (st->state != GL_H2_RUN || st->lost || x->takeover) return; /* another protocol finds the end in its stream */
  st->lost = x->eof = true;
  gl_h2_fail_body(st, status == UV_ETIMEDOUT ? UV_ECONNRESET : status);
  x->user->gone(x, status);
  if (!st->full) return;
  st->full = false;
  x->user->room(x, UV_EPIPE);
}

/* ---- the carrier's functions that are not about bytes ---- */

void gl_h2_end(gl_h2_stream *st) {
  if (!st->closed && (!st->submitted || (st->sent && st->x.in != GL_IN_DONE))) {
    st->reset_by_us = true;
    gl_h2_reset(st, st->submitted ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
  }
  gl_h2_settle(st);
}

static void h2_release(gl_exchange *x, bool failed) {
  gl_h2_stream *st = gl_h2_of(x);
  const gl_takeover *takeover = x->takeover;
  x->waiting = false;
  st->state = GL_H2_LEFT;
  drop_heads(st);
  gl_buf_free(&x->body);
  if (!st->taken) x->takeover = NULL;
  if (takeover) takeover->over(x->proto, failed);
  if (!st->taken) gl_h2_end(st);
}

static void h2_renew(gl_exchange *x) {
  gl_h2_stream *st = gl_h2_of(x);
  gl_h2_set_deadline(st, gl_h2_server(st)->limits.request_timeout);
}

static int h2_peer(const gl_exchange *x, struct sockaddr_storage *address, bool *secure) {
  return gl_conn_peer(gl_h2_of(x)->h2->conn, address, secure);
}

static const gl_stream *h2_secured(const gl_exchange *x) {
  const gl_stream *s = gl_h2_of(x)->h2->conn->stream;
  return s && gl_tls_secured(s) ? s : NULL;
}

const gl_carrier gl_h2_carrier = {
  .send_interim = gl_h2_send_interim, .send = gl_h2_send, .send_head = gl_h2_send_head, .send_body = gl_h2_send_body, .send_file = gl_h2_send_file, .finish = gl_h2_finish,
  .take_back = gl_h2_take_back, .cut = gl_h2_cut, .want = gl_h2_want, .is_full = gl_h2_is_full, .is_open = gl_h2_is_open,
  .renew = h2_renew, .release = h2_release, .peer = h2_peer, .secured = h2_secured, .take = gl_h2_take, .stream_closed = gl_h2_stream_closed,
};
