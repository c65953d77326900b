/* SPDX-License-Identifier: MIT */
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "http/frames.h"

#define META "green.ws"
#define QUEUE_HIGH ((size_t)256 * 1024) /* bytes of messages nobody has received yet: stop reading */
#define SEND_MAX ((size_t)1 << 30)
#define CLOSE_SECONDS 5.0 /* how long the peer may take to say goodbye */

struct gl_ws {
  gl_host *host;
  gl_stream *stream;   /* NULL once gone */
  gl_conn *conn;       /* whose stream that was; valid as long */
  gl_frames frames;
  gl_buf rest;         /* bytes that came right behind the handshake */
  gl_message *head, **tail;
  size_t queued;       /* bytes in that queue */
  gl_op *reader;       /* waits for a message */
  gl_op *writers;      /* wait for room, in order */
  gl_op *closers;      /* wait for the end */
  gl_timer timer;
  gl_ws_limits limits;
  uint64_t heard;      /* loop time, ms, of the last sign of life: a byte came, or output was taken */
  uint64_t moved;      /* loop time, ms, when no output waited or some of it was taken */
  uint64_t written;    /* bytes handed to the stream */
  uint64_t taken;      /* of those, what the kernel took, when that was last looked at */
  uint32_t refs;       /* the userdata, the stream, ops */
  uint16_t close_code;
  bool over;           /* nothing more will be received */
  bool closing;        /* our close frame is out */
  bool failed;         /* the peer broke the rules: what it sends is thrown away */
  bool delivering;     /* the reader was woken and has not taken its message yet */
  bool owes_pong;
  uint8_t pong_len, reason_len;
  uint8_t pong[GL_CONTROL_MAX]; /* of the last ping, when it could not be answered at once */
  char reason[GL_REASON_MAX];
};

static void unref(gl_ws *ws) {
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

static void wake_all(gl_op **list, int status) {
  while (*list) {
    gl_op *op = *list;
    *list = op->next;
    gl_op_done(op, status);
  }
}

static void append(gl_op **list, gl_op *op) {
  while (*list) list = &(*list)->next;
  *list = op;
}

static void leave(gl_op **list, gl_op *op) {
  while (*list != op) list = &(*list)->next;
  *list = op->next;
}

/* ---- the peer's side ended, or ours did ---- */

static void set_over(gl_ws *ws, uint16_t code) {
  if (ws->over) return;
  ws->over = true;
  if (!ws->close_code) ws->close_code = code;
  wake_reader(ws);
}

static void drop(gl_ws *ws, uint16_t code) {
  set_over(ws, code);
  if (ws->stream) gl_stream_close(ws->stream);
}

static void put(gl_ws *ws, uint8_t opcode, const void *bytes, size_t n) {
  ws->written += gl_frames_write(ws->stream, opcode, bytes, n);
}

/* Our close frame, after which nothing more is sent. Code 0: a frame without one. */
static void put_close(gl_ws *ws, uint16_t code, const void *reason, size_t n) {
  uint8_t body[2 + GL_REASON_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
  if (n) memcpy(body + 2, reason, n);
  put(ws, WSLAY_CONNECTION_CLOSE, body, code ? 2 + n : 0);
  ws->closing = true;
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

/* Say goodbye; the peer's answer ends it. Until then everything is read: the answer may stand behind messages. */
static void begin_close(gl_ws *ws, uint16_t code, const char *reason, size_t n) {
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
    drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  if (leaving) { /* slow, but it reads */
    gl_timer_arm(&ws->host->clock, timer, CLOSE_SECONDS);
    return;
  }
  if (ws->limits.ping_interval < ws->limits.idle_timeout) put(ws, WSLAY_PING, "", 0);
  arm(ws);
}

/* ---- what the peer sends ---- */

static void on_message(void *owner, gl_message *m) {
  gl_ws *ws = owner;
  if (ws->closing && ws->queued > QUEUE_HIGH) { /* we said goodbye, and nobody has been listening */
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
    put(ws, WSLAY_PONG, bytes, n);
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
  else if (ws->queued > QUEUE_HIGH && !ws->closing) gl_stream_pause(s);
}

/* The end without a close frame. It may still be reading what we sent last. */
static void on_end(gl_stream *s, int status) {
  gl_ws *ws = s->owner;
  if (status != UV_EOF) {
    drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  set_over(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  gl_stream_finish(s, false);
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
}

static void on_drained(gl_stream *s) {
  gl_ws *ws = s->owner;
  if (ws->owes_pong && !ws->closing) put(ws, WSLAY_PONG, ws->pong, ws->pong_len);
  ws->owes_pong = false;
  wake_all(&ws->writers, s->broken ? UV_EPIPE : 0);
}

static void on_closed(gl_stream *s) {
  gl_ws *ws = s->owner;
  ws->stream = NULL;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  set_over(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  wake_all(&ws->writers, UV_EPIPE);
  wake_all(&ws->closers, 0);
  gl_conn_left(ws->conn);
  unref(ws);
}

static const gl_stream_user ws_user = {on_data, on_end, on_drained, on_closed};

/* ---- the connection whose task serves it ---- */

static void on_retire(void *proto) { begin_close(proto, WSLAY_CODE_GOING_AWAY, NULL, 0); }

static void on_over(void *proto, bool failed) {
  gl_ws *ws = proto;
  begin_close(ws, failed ? WSLAY_CODE_INTERNAL_SERVER_ERROR : WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
}

static void on_abort(void *proto) { drop(proto, WSLAY_CODE_GOING_AWAY); }

static const gl_takeover takeover = {on_retire, on_abort, on_over};

gl_ws *gl_ws_new(lua_State *L, gl_conn *c, const gl_ws_limits *limits) {
  gl_ws **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, META);
  gl_ws *ws = calloc(1, sizeof *ws);
  if (!ws || !gl_frames_init(&ws->frames, limits->max_message, &frames_user, ws)) {
    free(ws);
    gl_error_raise(L, "ws.accept", "ENOMEM", "not enough memory");
    return NULL;
  }
  ws->host = gl_host_of(L);
  ws->conn = c;
  ws->stream = gl_conn_take(c, &ws->rest, &takeover, ws);
  ws->stream->user = &ws_user;
  ws->stream->owner = ws;
  ws->tail = &ws->head;
  ws->limits = *limits;
  ws->refs = 2;
  ws->timer.fire = on_timer;
  ws->heard = ws->moved = now(ws);
  *handle = ws;
  return ws;
}

void gl_ws_start(gl_ws *ws) {
  arm(ws);
  gl_stream_read(ws->stream);
  if (ws->rest.len) on_data(ws->stream, gl_buf_at(&ws->rest), ws->rest.len);
  gl_buf_free(&ws->rest);
  if (ws->stream->ended) on_end(ws->stream, UV_EOF); /* that was told before the handshake was answered */
}

/* ---- receiving ---- */

static gl_ws *check_ws(lua_State *L) {
  gl_ws *ws = *(gl_ws **)luaL_checkudata(L, 1, META);
  if (!ws) gl_error_status(L, "ws", UV_EPIPE, "the socket was collected");
  return ws;
}

typedef struct ws_op {
  gl_op op;
  gl_ws *ws; /* referenced */
} ws_op;

static void free_ws(gl_op *op) { unref(((ws_op *)op)->ws); }

static ws_op *ws_op_new(lua_State *L, gl_ws *ws, const gl_optype *type) {
  ws_op *w = gl_op_new(L, type, sizeof *w, 0);
  w->ws = ws;
  ws->refs++;
  return w;
}

/* The first message in the queue and its kind; or nil at the end. */
static int push_message(lua_State *L, gl_ws *ws) {
  gl_message *m = ws->head;
  if (!m) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, m->bytes, m->len); /* may raise: the message is still queued then */
  lua_pushstring(L, m->binary ? "binary" : "text");
  if (!(ws->head = m->next)) ws->tail = &ws->head;
  ws->queued -= m->cap + sizeof *m;
  free(m);
  if (ws->stream && ws->queued < QUEUE_HIGH / 2) gl_stream_read(ws->stream);
  return 2;
}

static int push_receive(lua_State *L, gl_op *op) {
  gl_ws *ws = ((ws_op *)op)->ws;
  ws->delivering = false;
  return push_message(L, ws);
}

static void cancel_receive(gl_op *op) {
  ((ws_op *)op)->ws->reader = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype receive_type = {"ws.receive", push_receive, cancel_receive, free_ws};

/* ws:receive([timeout]) -> message, "text" | "binary"; nil once the socket is closed */
static int ws_receive(lua_State *L) {
  gl_ws *ws = check_ws(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (ws->reader || ws->delivering) return gl_error_raise(L, "ws.receive", "EBUSY", "another task is receiving from this socket");
  if (ws->head || ws->over) return push_message(L, ws);
  ws_op *w = ws_op_new(L, ws, &receive_type);
  ws->reader = &w->op;
  return gl_await(L, &w->op, timeout);
}

static int next_message(lua_State *L) {
  lua_settop(L, 1);
  return ws_receive(L);
}

/* for message, kind in ws:messages() do ... end */
static int ws_messages(lua_State *L) {
  check_ws(L);
  lua_pushcfunction(L, next_message);
  lua_pushvalue(L, 1);
  return 2;
}

/* ---- sending ---- */

static int push_send(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, "the peer is gone");
  return 0;
}

static void cancel_send(gl_op *op) {
  leave(&((ws_op *)op)->ws->writers, op);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype send_type = {"ws.send", push_send, cancel_send, free_ws};

static bool is_open(const gl_ws *ws) { return ws->stream && !ws->closing && !ws->over; }

static const char *check_message(lua_State *L, uint8_t opcode, size_t *n) {
  const char *bytes = luaL_checklstring(L, 2, n);
  luaL_argcheck(L, *n <= SEND_MAX, 2, "a message has 1 GiB at most");
  if (opcode == WSLAY_TEXT_FRAME && !gl_is_utf8(bytes, *n))
    gl_error_raise(L, "ws.send", "EILSEQ", "a text message must be valid UTF-8; send bytes with send_binary");
  return bytes;
}

static int send_message(lua_State *L, uint8_t opcode) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = check_message(L, opcode, &n);
  if (!is_open(ws)) return gl_error_status(L, "ws.send", UV_EPIPE, "the socket is closed");
  put(ws, opcode, bytes, n);
  bool full = gl_stream_full(ws->stream);
  if (ws->over) return gl_error_status(L, "ws.send", UV_EPIPE, "the peer is gone");
  if (!full) return 0;
  ws_op *w = ws_op_new(L, ws, &send_type);
  append(&ws->writers, &w->op);
  return gl_await(L, &w->op, GL_FOREVER);
}

static int ws_send(lua_State *L) { return send_message(L, WSLAY_TEXT_FRAME); }
static int ws_send_binary(lua_State *L) { return send_message(L, WSLAY_BINARY_FRAME); }

/* Does more output wait than anyone may leave behind, although the kernel was asked to take it? */
static bool is_slow(gl_ws *ws) {
  if (gl_stream_pending(ws->stream) <= ws->limits.max_pending) return false;
  gl_stream_flush(ws->stream);
  return gl_stream_pending(ws->stream) > ws->limits.max_pending;
}

/* ws:try_send(text) -> true; or false, "closed" | "slow" without waiting: nothing was sent then. */
static int ws_try_send(lua_State *L) {
  gl_ws *ws = *(gl_ws **)luaL_checkudata(L, 1, META);
  size_t n;
  const char *bytes = check_message(L, WSLAY_TEXT_FRAME, &n);
  bool slow = ws && is_open(ws) && is_slow(ws);
  const char *why = !ws || !is_open(ws) ? "closed" : slow ? "slow" : NULL;
  if (!why) put(ws, WSLAY_TEXT_FRAME, bytes, n);
  lua_pushboolean(L, !why);
  if (why) lua_pushstring(L, why);
  return why ? 2 : 1;
}

static int ws_ping(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = luaL_optlstring(L, 2, "", &n);
  luaL_argcheck(L, n <= GL_CONTROL_MAX, 2, "a ping carries 125 bytes at most");
  if (!is_open(ws)) return gl_error_status(L, "ws.ping", UV_EPIPE, "the socket is closed");
  put(ws, WSLAY_PING, bytes, n);
  return 0;
}

/* ---- closing ---- */

static int push_close(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void cancel_close(gl_op *op) {
  leave(&((ws_op *)op)->ws->closers, op);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype close_type = {"ws.close", push_close, cancel_close, free_ws};

/* 1002 is about frames, which are not an application's; 1010 is a client's. */
static bool may_send(lua_Integer code) { return gl_close_code_ok(code) && code != 1002 && code != 1010; }

static gl_ws *close_begin(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  lua_Integer code = luaL_optinteger(L, 2, 1000);
  const char *reason = luaL_optlstring(L, 3, "", &n);
  luaL_argcheck(L, may_send(code), 2, "not a close code an application may send");
  luaL_argcheck(L, n <= GL_REASON_MAX && gl_is_utf8(reason, n), 3, "a close reason is UTF-8 of 123 bytes at most");
  begin_close(ws, (uint16_t)code, reason, n);
  return ws;
}

/* ws:close([code [, reason]]) waits for the peer's answer, a few seconds at most. */
static int ws_close(lua_State *L) {
  gl_ws *ws = close_begin(L);
  if (!ws->stream) return 0;
  ws_op *w = ws_op_new(L, ws, &close_type);
  append(&ws->closers, &w->op);
  return gl_await(L, &w->op, GL_FOREVER);
}

/* ws:shut([code [, reason]]) says goodbye without waiting. */
static int ws_shut(lua_State *L) {
  close_begin(L);
  return 0;
}

/* ---- the handle ---- */

static int ws_index(lua_State *L) {
  gl_ws *ws = check_ws(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (strcmp(key, "close_code") == 0 && ws->close_code) lua_pushinteger(L, ws->close_code);
  else if (strcmp(key, "close_reason") == 0 && ws->over) lua_pushlstring(L, ws->reason, ws->reason_len);
  else if (strcmp(key, "open") == 0) lua_pushboolean(L, is_open(ws));
  else if (strcmp(key, "pending") == 0) lua_pushinteger(L, ws->stream ? (lua_Integer)gl_stream_pending(ws->stream) : 0);
  else lua_pushnil(L);
  return 1;
}

static int ws_newindex(lua_State *L) {
  check_ws(L);
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
  }
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

static int ws_gc(lua_State *L) {
  gl_ws **handle = luaL_checkudata(L, 1, META);
  gl_ws *ws = *handle;
  if (!ws) return 0;
  *handle = NULL;
  begin_close(ws, WSLAY_CODE_GOING_AWAY, NULL, 0); /* harmless when it is closing: that goes on without us */
  unref(ws);
  return 0;
}

void gl_ws_metatable(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"receive", ws_receive},   {"messages", ws_messages}, {"send", ws_send},   {"send_binary", ws_send_binary},
    {"try_send", ws_try_send}, {"ping", ws_ping},         {"close", ws_close}, {"shut", ws_shut},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", ws_gc}, {"__newindex", ws_newindex}, {NULL, NULL}};
  luaL_newmetatable(L, META);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_pushcclosure(L, ws_index, 1);
  lua_setfield(L, -2, "__index");
}
