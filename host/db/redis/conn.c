/* SPDX-License-Identifier: MIT */
#include "db/redis/conn.h"

#include <stdlib.h>
#include <string.h>

#include "core/opqueue.h"

#define PUSHED_HIGH ((size_t)1 << 20) /* bytes of pushes that wait: the server has to wait, too */

void gl_redis_conn_unref(gl_redis_conn *c) {
  if (--c->refs > 0) return;
  gl_buf_free(&c->in);
  gl_buf_free(&c->pushed);
  free(c);
}

void gl_redis_conn_fail(gl_redis_conn *c, int status) {
  if (c->status) return;
  c->status = status;
  gl_buf_free(&c->in);
  for (gl_op *op; (op = c->calls.head) != NULL;) {
    gl_opqueue_remove(&c->calls, op);
    gl_op_done(op, status);
  }
  if (c->receiver && !c->receiver->done) gl_op_done(c->receiver, status);
  if (c->stream) gl_stream_close(c->stream);
}

/* ---- what arrives ---- */

static bool keep(gl_redis_op *op, const char *bytes, size_t n) { return op->op.detached || gl_buf_add(&op->replies, bytes, n); }

static bool keep_push(gl_redis_conn *c, const char *bytes, size_t n) {
  gl_redis_op *r = (gl_redis_op *)c->receiver;
  if (r && !r->op.done) {
    if (!keep(r, bytes, n)) return false;
    gl_op_done(&r->op, 0);
    return true;
  }
  if (!gl_buf_add(&c->pushed, &n, sizeof n) || !gl_buf_add(&c->pushed, bytes, n)) return false;
  if (c->pushed.len > PUSHED_HIGH) gl_stream_pause(c->stream);
  return true;
}

/* One whole reply, or a push. */
static int deliver(gl_redis_conn *c, const char *bytes, size_t n) {
  if (*bytes == '>' || c->listening) return keep_push(c, bytes, n) ? 0 : UV_ENOMEM;
  gl_redis_op *op = (gl_redis_op *)c->calls.head;
  if (!op) return UV_EPROTO;
  if (!keep(op, bytes, n)) return UV_ENOMEM;
  if (++op->got < op->expected) return 0;
  gl_opqueue_remove(&c->calls, &op->op);
  gl_op_done(&op->op, 0);
  return 0;
}

/* Delivers the whole replies among the bytes, which begin with a reply, and returns how many bytes those were. */
static size_t deliver_all(gl_redis_conn *c, const char *bytes, size_t n) {
  size_t used = 0;
  while (used < n) {
    int64_t len = gl_resp_scan(&c->scan, bytes + used, n - used);
    if (len == 0) break;
    int status = len < 0 ? UV_EPROTO : deliver(c, bytes + used, (size_t)len);
    c->scan = (gl_resp){0};
    if (status) {
      gl_redis_conn_fail(c, status);
      return n;
    }
    used += (size_t)len;
  }
  return used;
}

static void on_data(gl_stream *stream, const char *bytes, size_t n) {
  gl_redis_conn *c = stream->owner;
  if (c->status) return;
  c->heard = uv_now(&c->host->loop);
  size_t used = c->in.len ? 0 : deliver_all(c, bytes, n);
  if (used == n) return;
  if (!gl_buf_add(&c->in, bytes + used, n - used)) {
    gl_redis_conn_fail(c, UV_ENOMEM);
    return;
  }
  used = deliver_all(c, gl_buf_at(&c->in), c->in.len);
  if (c->status) return; /* which has freed `in` */
  gl_buf_eat(&c->in, used);
  if (!c->in.len) gl_buf_free(&c->in);
  if (c->in.len > c->max_reply) gl_redis_conn_fail(c, UV_EMSGSIZE);
}

static void on_end(gl_stream *stream, int status) { gl_redis_conn_fail(stream->owner, status); }

static void on_drained(gl_stream *stream) { (void)stream; }

static void on_closed(gl_stream *stream) {
  gl_redis_conn *c = stream->owner;
  c->stream = NULL;
  gl_redis_conn_fail(c, UV_ECANCELED);
  gl_redis_conn_unref(c);
}

static const gl_stream_user conn_user = {on_data, on_end, on_drained, on_closed};

/* ---- calls ---- */

gl_redis_conn *gl_redis_conn_new(gl_host *h, gl_stream *stream, const char *peer, size_t max_reply) {
  gl_redis_conn *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->host = h;
  c->stream = stream;
  c->max_reply = max_reply;
  c->heard = uv_now(&h->loop);
  c->refs = 2;
  strncpy(c->peer, peer, sizeof c->peer - 1);
  stream->user = &conn_user;
  stream->owner = c;
  return c;
}

bool gl_redis_conn_alive(gl_redis_conn *c, double patience) {
  if (c->status || !c->stream || gl_stream_is_foreign(c->stream)) return false;
  const gl_op *oldest = c->calls.head;
  uint64_t now = uv_now(&c->host->loop), silent = now - c->heard;
  if (!oldest || silent < patience * 1000 || (uint32_t)now - oldest->since < patience * 1000) return true;
  gl_redis_conn_fail(c, UV_ETIMEDOUT);
  return false;
}

void gl_redis_conn_expect(gl_redis_conn *c, gl_redis_op *op, uint32_t replies) {
  op->expected = replies;
  gl_opqueue_push(&c->calls, &op->op);
}

void gl_redis_conn_receive(gl_redis_conn *c, gl_redis_op *op) {
  size_t n;
  c->receiver = &op->op;
  if (!c->pushed.len) {
    if (c->status) gl_op_done(&op->op, c->status);
    return;
  }
  memcpy(&n, gl_buf_at(&c->pushed), sizeof n);
  gl_buf_eat(&c->pushed, sizeof n);
  bool kept = gl_buf_add(&op->replies, gl_buf_at(&c->pushed), n);
  gl_buf_eat(&c->pushed, n);
  if (!c->pushed.len) gl_buf_free(&c->pushed);
  if (!c->status && c->pushed.len <= PUSHED_HIGH / 2) gl_stream_read(c->stream);
  gl_op_done(&op->op, kept ? 0 : UV_ENOMEM);
}
