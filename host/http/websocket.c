/* SPDX-License-Identifier: MIT */
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/opqueue.h"
#include "ws/frames.h"

#define SECOND_LOOK 0.01  /* seconds after which a silent peer is looked at once more */
#define CLOSE_SECONDS 5.0 /* seconds that the peer may take for its close frame, or for our output after it */

void gl_ws_unref(gl_ws *ws) {
  if (--ws->refs > 0) return;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  for (gl_message *m = ws->head, *next; m; m = next) {
    next = m->next;
    gl_message_free(m);
  }
  gl_buf_free(&ws->rest);
  gl_frames_free(&ws->frames);
  gl_permessage_free(ws->frames.permessage);
  gl_hub_remove(&ws->listener);
  free(ws);
}

static uint64_t now(const gl_ws *ws) { return uv_now(&ws->host->loop); }

/* ---- waking ---- */

static void wake_reader(gl_ws *ws) {
  gl_op *op = ws->reader;
  if (!op) return;
  ws->reader = NULL;
  ws->delivering = true; /* no other task may take the message that woke the reader */
  gl_op_done(op, 0);
}

/* ---- the peer has left ---- */

bool gl_ws_is_open(const gl_ws *ws) {
  return ws->stream && !ws->stream->closing && !ws->closing && (!ws->over || ws->parting);
}

bool gl_ws_is_attended(const gl_ws *ws) { return !ws->orphan && !ws->settled && (ws->head || ws->in_hand || ws->delivering); }

/* Gives a handler that knows of the end as long to return as a request has to be answered. */
static void linger(gl_ws *ws) {
  if (ws->serving && !ws->stream) gl_timer_arm(&ws->host->clock, &ws->timer, ws->limits.linger_timeout);
}

static void tell_gone(gl_ws *ws) { ws->x->user->gone(ws->x, UV_ECONNRESET); }

static void put_close(gl_ws *ws, uint16_t code, const void *reason, size_t n);

/* Ends our side after the peer's: sends our close frame, unless the peer ended without one. */
static void part(gl_ws *ws) {
  ws->parting = false;
  if (!ws->stream) return;
  if (!ws->silent) put_close(ws, ws->answer, NULL, 0);
  ws->closing = true;
  gl_stream_finish(ws->stream, ws->failed); /* a close with bytes of the peer unread resets the connection, and could take our frame away */
  gl_stream_read(ws->stream);
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

/* Settles: no receiver is expected any more. Answers the peer, and tells the handler. */
static void conclude(gl_ws *ws) {
  if (ws->settled) return;
  ws->settled = true;
  if (ws->parting) part(ws);
  else if (ws->stream) gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
  if (ws->known) linger(ws);
  else if (ws->serving) tell_gone(ws);
}

/* Nothing more will come: gives a receiver that is expected its time, else concludes. */
static void settle(gl_ws *ws) {
  if (ws->settled) return;
  if (gl_ws_is_attended(ws)) gl_timer_arm(&ws->host->clock, &ws->timer, GL_WS_PATIENCE);
  else conclude(ws);
}

void gl_ws_receiver_ended(gl_ws *ws) {
  ws->in_hand = false;
  conclude(ws);
}

void gl_ws_receiver_took(gl_ws *ws) {
  ws->in_hand = true;
  if (ws->over) settle(ws);
}

/* ---- the peer's side ended, or ours did ---- */

static void set_over(gl_ws *ws, uint16_t code) {
  if (ws->over) return;
  ws->over = true;
  gl_hub_unsubscribe_all(&ws->listener);
  if (!ws->close_code) ws->close_code = code;
  wake_reader(ws);
}

/* Closes the stream now, without a close frame. */
static void ws_drop(gl_ws *ws, uint16_t code) {
  set_over(ws, code);
  if (ws->stream) gl_stream_close(ws->stream);
}

void gl_ws_terminate(gl_ws *ws) { ws_drop(ws, GL_CLOSE_ABNORMAL); }

/* Writes our close frame, after which nothing more is sent. Code 0: a frame without a code. */
static void put_close(gl_ws *ws, uint16_t code, const void *reason, size_t n) {
  uint8_t body[2 + GL_REASON_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
  if (n) memcpy(body + 2, reason, n);
  gl_ws_put(ws, GL_CLOSE, body, code ? 2 + n : 0);
  ws->closing = true;
  gl_hub_unsubscribe_all(&ws->listener);
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

/* Everything is read until the peer's answer, even if the queue is full: the answer may stand behind messages. */
void gl_ws_close(gl_ws *ws, uint16_t code, const char *reason, size_t n) {
  if (ws->parting) conclude(ws);
  if (ws->client && ws->stream && !ws->holding) {
    ws->holding = true;
    ws->host->holds++;
  }
  if (ws->closing || ws->over || !ws->stream) return;
  put_close(ws, code, reason, n);
  gl_stream_read(ws->stream);
}

/* Ends the peer's side, for the script with `code`: the peer sent a close frame, or ended without one, or broke the rules. `answer`
 * is the code of our close frame, if that is still to be sent. */
static void begin_parting(gl_ws *ws, uint16_t code, uint16_t answer) {
  ws->parting = !ws->closing;
  ws->answer = answer;
  set_over(ws, code);
  if (!ws->parting) gl_stream_finish(ws->stream, ws->failed);
  settle(ws);
}

static void fail(gl_ws *ws, uint16_t code) {
  ws->failed = true;
  begin_parting(ws, code, code);
  gl_stream_read(ws->stream);
}

/* ---- time ---- */

static void arm(gl_ws *ws) {
  const gl_ws_limits *l = &ws->limits;
  gl_timer_arm(&ws->host->clock, &ws->timer, l->ping_interval < l->idle_timeout ? l->ping_interval : l->idle_timeout);
}

/* Does output wait, and did more of it reach the peer since the last look? Once no output waits, only the kernels acknowledge bytes,
 * which proves nothing about the peer. */
static bool is_moving(const gl_ws *ws) { return gl_stream_pending(ws->stream) && gl_stream_delivered(ws->stream) != ws->delivered; }

/* Returns the milliseconds without a sign of life: no byte came, or the peer took no output. Silence proves nothing while our side
 * does not read; and a peer that takes output lives, even if what it sends has to wait. */
static uint64_t quiet(gl_ws *ws) {
  uint64_t t = now(ws);
  bool moving = is_moving(ws);
  if (!ws->stream->reading || moving) ws->heard = t;
  if (!gl_stream_pending(ws->stream) || moving) ws->moved = t;
  ws->delivered = gl_stream_delivered(ws->stream);
  return t - (ws->heard < ws->moved ? ws->heard : ws->moved);
}

static void on_timer(gl_timer *timer) {
  gl_ws *ws = GL_CONTAINER(timer, gl_ws, timer);
  if (ws->over && !ws->settled) { /* no receiver came for the messages that are left */
    conclude(ws);
    return;
  }
  if (!ws->stream) {
    if (ws->serving) tell_gone(ws);
    return;
  }
  bool leaving = ws->closing || ws->over, moving = is_moving(ws);
  bool silent = (double)quiet(ws) >= ws->limits.idle_timeout * 1000;
  if (leaving ? !moving : silent && ws->suspect) {
    ws_drop(ws, GL_CLOSE_ABNORMAL);
    return;
  }
  ws->suspect = silent;
  if (leaving || silent) { /* leaving: the peer is slow, but reads; silent: its bytes may lie in the kernel, if our thread was held up */
    gl_timer_arm(&ws->host->clock, timer, leaving ? CLOSE_SECONDS : SECOND_LOOK);
    return;
  }
  if (ws->limits.ping_interval < ws->limits.idle_timeout) gl_ws_put(ws, GL_PING, "", 0);
  arm(ws);
}

/* ---- what the peer sends ---- */

static void on_message(void *owner, gl_message *m) {
  gl_ws *ws = owner;
  if (ws->closing && ws->queued > GL_WS_QUEUE_HIGH) { /* our close frame is out, and no task receives */
    gl_message_free(m);
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
    gl_ws_put(ws, GL_PONG, bytes, n);
    return;
  }
  ws->owes_pong = true; /* only the last ping needs an answer (RFC 6455, 5.5.3); on_drained gives it */
  ws->pong_len = (uint8_t)n;
  if (n) memcpy(ws->pong, bytes, n);
}

static void on_close(void *owner, uint16_t code, const uint8_t *reason, size_t n) {
  gl_ws *ws = owner;
  ws->close_code = code ? code : GL_CLOSE_NO_STATUS;
  ws->reason_len = (uint8_t)n;
  if (n) memcpy(ws->reason, reason, n);
  begin_parting(ws, ws->close_code, code);
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

/* The peer's side of the stream ended. After UV_EOF the peer may still be reading what we send. */
static void on_end(gl_stream *s, int status) {
  gl_ws *ws = s->owner;
  if (status != UV_EOF) {
    ws_drop(ws, GL_CLOSE_ABNORMAL);
  } else if (!ws->over) {
    ws->silent = true;
    begin_parting(ws, GL_CLOSE_ABNORMAL, 0);
  } else if (!ws->parting) {
    gl_stream_finish(s, false);
  }
}

static void on_drained(gl_stream *s) {
  gl_ws *ws = s->owner;
  if (ws->owes_pong && !ws->closing) gl_ws_put(ws, GL_PONG, ws->pong, ws->pong_len);
  ws->owes_pong = false;
  gl_opqueue_finish(&ws->writers, s->broken ? UV_EPIPE : 0);
}

static void on_closed(gl_stream *s) {
  gl_ws *ws = s->owner;
  ws->stream = NULL;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  set_over(ws, GL_CLOSE_ABNORMAL);
  gl_opqueue_finish(&ws->writers, UV_EPIPE);
  gl_opqueue_finish(&ws->closers, 0);
  settle(ws);
  if (ws->settled && ws->known) linger(ws);
  if (ws->holding) ws->host->holds--;
  ws->holding = false;
  if (ws->x) ws->x->carrier->stream_closed(ws->x);
  if (!ws->serving) ws->x = NULL;
  gl_ws_unref(ws);
}

static const gl_stream_user ws_user = {on_data, on_end, on_drained, on_closed, .served = true, .wants_end = true};
static const gl_stream_user client_user = {on_data, on_end, on_drained, on_closed, .wants_end = true};

/* ---- the connection whose task serves it ---- */

static void on_retire(void *proto) {
  gl_ws *ws = proto;
  if (!ws->parting) gl_ws_close(ws, GL_CLOSE_GOING_AWAY, NULL, 0);
}

static void on_over(void *proto, bool failed) {
  gl_ws *ws = proto;
  ws->serving = false;
  gl_ws_close(ws, failed ? GL_CLOSE_INTERNAL : GL_CLOSE_NORMAL, NULL, 0);
  if (!ws->stream) ws->x = NULL;
  gl_ws_unref(ws);
}

static void on_abort(void *proto) { ws_drop(proto, GL_CLOSE_GOING_AWAY); }

/* The peer or the server ended the socket, and not the handler's task. */
static bool on_excuses(void *proto) {
  gl_ws *ws = proto;
  return (ws->over || ws->closing) && !ws->handler_closed;
}

static const gl_takeover takeover = {on_retire, on_abort, on_over, on_excuses};

static gl_ws *ws_new(const gl_ws_limits *limits, gl_permessage *permessage) {
  gl_ws *ws = calloc(1, sizeof *ws);
  if (!ws) return NULL;
  gl_frames_init(&ws->frames, limits->max_message, &frames_user, ws);
  ws->frames.permessage = permessage;
  ws->tail = &ws->head;
  ws->listener.take = gl_ws_take_published;
  ws->limits = *limits;
  ws->timer.fire = on_timer;
  return ws;
}

static void have_stream(gl_ws *ws, gl_stream *stream, const gl_stream_user *user) {
  ws->stream = stream;
  ws->host = stream->host;
  stream->user = user;
  stream->owner = ws;
  ws->heard = ws->moved = now(ws);
}

gl_ws *gl_ws_new(gl_exchange *x, const gl_ws_limits *limits, gl_permessage *permessage) {
  gl_ws *ws = ws_new(limits, permessage);
  if (!ws) return NULL;
  gl_stream *stream = x->carrier->take(x, &ws->rest, &takeover, ws);
  if (!stream) {
    free(ws); /* the caller still has `permessage` */
    return NULL;
  }
  ws->x = x;
  have_stream(ws, stream, &ws_user);
  ws->refs = 3;
  ws->serving = true;
  return ws;
}

gl_ws *gl_ws_new_client(gl_stream *stream, gl_buf *rest, const gl_ws_limits *limits, gl_permessage *permessage) {
  gl_ws *ws = ws_new(limits, permessage);
  if (!ws) return NULL;
  ws->client = ws->frames.from_server = true;
  ws->rest = *rest;
  *rest = (gl_buf){0};
  have_stream(ws, stream, &client_user);
  ws->refs = 2;
  return ws;
}

void gl_ws_start(gl_ws *ws) {
  arm(ws);
  gl_stream_read(ws->stream);
  if (ws->rest.len) on_data(ws->stream, gl_buf_at(&ws->rest), ws->rest.len);
  gl_buf_free(&ws->rest);
  if (ws->stream->ended) on_end(ws->stream, UV_EOF); /* the stream told its end to the connection, before the takeover */
}
