/* SPDX-License-Identifier: MIT */
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/op.h"
#include "http/frames.h"

#define CLOSE_SECONDS 5.0 /* how long the peer may take to say goodbye */

void gl_ws_unref(gl_ws *ws) {
  if (--ws->refs > 0) return;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  for (gl_message *m = ws->head, *next; m; m = next) {
    next = m->next;
    free(m);
  }
  gl_buf_free(&ws->rest);
  gl_frames_free(&ws->frames);
  free(ws);
}

static uint64_t now(const gl_ws *ws) { return uv_now(&ws->host->loop); }

/* ---- waking ---- */

static void wake_reader(gl_ws *ws) {
  gl_op *op = ws->reader;
  if (!op) return;
  ws->reader = NULL;
  ws->delivering = true; /* what it was woken for is not for others */
  gl_op_done(op, 0);
}

void gl_ws_wake_all(gl_op **list, int status) {
  while (*list) {
    gl_op *op = *list;
    *list = op->next;
    gl_op_done(op, status);
  }
}

/* ---- the peer's side ended, or ours did ---- */

static void set_over(gl_ws *ws, uint16_t code) {
  if (ws->over) return;
  ws->over = true;
  if (!ws->close_code) ws->close_code = code;
  wake_reader(ws);
}

void gl_ws_drop(gl_ws *ws, uint16_t code) {
  set_over(ws, code);
  if (ws->stream) gl_stream_close(ws->stream);
}

void gl_ws_put(gl_ws *ws, uint8_t opcode, const void *bytes, size_t n) {
  ws->written += gl_frames_write(ws->stream, opcode, bytes, n);
}

/* Our close frame, after which nothing more is sent. Code 0: a frame without one. */
static void put_close(gl_ws *ws, uint16_t code, const void *reason, size_t n) {
  uint8_t body[2 + GL_REASON_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
  if (n) memcpy(body + 2, reason, n);
  gl_ws_put(ws, WSLAY_CONNECTION_CLOSE, body, code ? 2 + n : 0);
  ws->closing = true;
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

/* Say goodbye; the peer's answer ends it. Until then everything is read: the answer may stand behind messages. */
void gl_ws_close(gl_ws *ws, uint16_t code, const char *reason, size_t n) {
  if (ws->closing || ws->over || !ws->stream) return;
  put_close(ws, code, reason, n);
  gl_stream_read(ws->stream);
}

/* The peer broke the rules. It is told, and heard out: closing at once, with bytes of it unread, could take our
 * close frame away from it again. */
static void fail(gl_ws *ws, uint16_t code) {
  ws->failed = true;
  if (!ws->closing) put_close(ws, code, NULL, 0);
  set_over(ws, code);
  gl_stream_finish(ws->stream, true);
  gl_stream_read(ws->stream);
}

/* ---- time ---- */

static void arm(gl_ws *ws) {
  const gl_ws_limits *l = &ws->limits;
  gl_timer_arm(&ws->host->clock, &ws->timer, l->ping_interval < l->idle_timeout ? l->ping_interval : l->idle_timeout);
}

/* Was some of the waiting output taken since this was last looked at? */
static bool is_moving(const gl_ws *ws) {
  uint64_t pending = gl_stream_pending(ws->stream);
  return pending && ws->written - pending != ws->taken;
}

/* Milliseconds without a sign of life: nothing came, or what we sent is not taken. While we are the ones who do not
 * read, silence proves nothing; and who takes our output lives, even if its own word has to wait. */
static uint64_t quiet(gl_ws *ws) {
  uint64_t t = now(ws), pending = gl_stream_pending(ws->stream);
  bool moving = is_moving(ws);
  if (!ws->stream->reading || moving) ws->heard = t;
  if (!pending || moving) ws->moved = t;
  ws->taken = ws->written - pending;
  return t - (ws->heard < ws->moved ? ws->heard : ws->moved);
}

static void on_timer(gl_timer *timer) {
  gl_ws *ws = GL_CONTAINER(timer, gl_ws, timer);
  if (!ws->stream) return;
  bool leaving = ws->closing || ws->over, moving = is_moving(ws);
  double silence = (double)quiet(ws);
  if (leaving ? !moving : silence >= ws->limits.idle_timeout * 1000) {
    gl_ws_drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  if (leaving) { /* slow, but it reads */
    gl_timer_arm(&ws->host->clock, timer, CLOSE_SECONDS);
    return;
  }
  if (ws->limits.ping_interval < ws->limits.idle_timeout) gl_ws_put(ws, WSLAY_PING, "", 0);
  arm(ws);
}

/* ---- what the peer sends ---- */

static void on_message(void *owner, gl_message *m) {
  gl_ws *ws = owner;
  if (ws->closing && ws->queued > GL_WS_QUEUE_HIGH) { /* we said goodbye, and nobody has been listening */
    free(m);
    return;
  }
  m->next = NULL;
  *ws->tail = m;
  ws->tail = &m->next;
  ws->queued += m->cap + sizeof *m;
  wake_reader(ws);
}

static void on_ping(void *owner, const uint8_t *bytes, size_t n) {
  gl_ws *ws = owner;
  if (ws->closing) return;
  if (!gl_stream_full(ws->stream)) {
    gl_ws_put(ws, WSLAY_PONG, bytes, n);
    return;
  }
  ws->owes_pong = true; /* only the last ping needs an answer (RFC 6455, 5.5.3); on_drained gives it */
  ws->pong_len = (uint8_t)n;
  if (n) memcpy(ws->pong, bytes, n);
}

static void on_close(void *owner, uint16_t code, const uint8_t *reason, size_t n) {
  gl_ws *ws = owner;
  ws->close_code = code ? code : WSLAY_CODE_NO_STATUS_RCVD;
  ws->reason_len = (uint8_t)n;
  if (n) memcpy(ws->reason, reason, n);
  if (!ws->closing) put_close(ws, code, NULL, 0);
  set_over(ws, ws->close_code);
  gl_stream_finish(ws->stream, false);
}

static const gl_frames_user frames_user = {on_message, on_ping, on_close};

/* ---- the stream ---- */

static void on_data(gl_stream *s, const char *bytes, size_t n) {
  gl_ws *ws = s->owner;
  ws->heard = now(ws);
  if (ws->failed) return;
  uint16_t wrong = gl_frames_feed(&ws->frames, bytes, n);
  if (wrong) fail(ws, wrong);
  else if (ws->queued > GL_WS_QUEUE_HIGH && !ws->closing) gl_stream_pause(s);
}

/* The end without a close frame. It may still be reading what we sent last. */
static void on_end(gl_stream *s, int status) {
  gl_ws *ws = s->owner;
  if (status != UV_EOF) {
    gl_ws_drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  set_over(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  gl_stream_finish(s, false);
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

static void on_drained(gl_stream *s) {
  gl_ws *ws = s->owner;
  if (ws->owes_pong && !ws->closing) gl_ws_put(ws, WSLAY_PONG, ws->pong, ws->pong_len);
  ws->owes_pong = false;
  gl_ws_wake_all(&ws->writers, s->broken ? UV_EPIPE : 0);
}

static void on_closed(gl_stream *s) {
  gl_ws *ws = s->owner;
  ws->stream = NULL;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  set_over(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  gl_ws_wake_all(&ws->writers, UV_EPIPE);
  gl_ws_wake_all(&ws->closers, 0);
  gl_conn_left(ws->conn);
  gl_ws_unref(ws);
}

static const gl_stream_user ws_user = {on_data, on_end, on_drained, on_closed};

/* ---- the connection whose task serves it ---- */

static void on_retire(void *proto) { gl_ws_close(proto, WSLAY_CODE_GOING_AWAY, NULL, 0); }

static void on_over(void *proto, bool failed) {
  gl_ws *ws = proto;
  gl_ws_close(ws, failed ? WSLAY_CODE_INTERNAL_SERVER_ERROR : WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
}

static void on_abort(void *proto) { gl_ws_drop(proto, WSLAY_CODE_GOING_AWAY); }

static const gl_takeover takeover = {on_retire, on_abort, on_over};

gl_ws *gl_ws_new(gl_conn *c, const gl_ws_limits *limits) {
  gl_ws *ws = calloc(1, sizeof *ws);
  if (!ws || !gl_frames_init(&ws->frames, limits->max_message, &frames_user, ws)) {
    free(ws);
    return NULL;
  }
  ws->conn = c;
  ws->stream = gl_conn_take(c, &ws->rest, &takeover, ws);
  ws->host = ws->stream->host;
  ws->stream->user = &ws_user;
  ws->stream->owner = ws;
  ws->tail = &ws->head;
  ws->limits = *limits;
  ws->refs = 2;
  ws->timer.fire = on_timer;
  ws->heard = ws->moved = now(ws);
  return ws;
}

void gl_ws_start(gl_ws *ws) {
  arm(ws);
  gl_stream_read(ws->stream);
  if (ws->rest.len) on_data(ws->stream, gl_buf_at(&ws->rest), ws->rest.len);
  gl_buf_free(&ws->rest);
  if (ws->stream->ended) on_end(ws->stream, UV_EOF); /* that was told before the handshake was answered */
}
