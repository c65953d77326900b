/* SPDX-License-Identifier: MIT */
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"

#define META "green.ws"
#define QUEUE_HIGH ((size_t)256 * 1024) /* bytes of messages nobody has received yet: stop reading */
#define CLOSE_SECONDS 5.0               /* how long the peer may take to answer a close frame */

typedef struct message {
  struct message *next;
  size_t len;
  bool binary;
  char bytes[];
} message;

struct gl_ws {
  gl_host *host;
  gl_stream *stream; /* NULL once gone */
  wslay_event_context_ptr ctx;
  gl_buf rest;       /* bytes that came right behind the handshake */
  const char *in;    /* bytes being fed to wslay */
  size_t in_len;
  message *head, **tail;
  size_t queued;     /* bytes in that queue */
  gl_op *reader;     /* waits for a message */
  gl_op *writers;    /* wait for room, in order */
  gl_op *closer;     /* waits for the end */
  gl_timer timer;
  gl_ws_limits limits;
  uint64_t heard;    /* loop time, ms, of the last byte from the peer */
  uint32_t refs;     /* the userdata, the stream */
  uint16_t close_code;
  uint8_t reason_len;
  bool over;         /* nothing more will be received */
  bool closing;      /* our close frame is queued */
  char reason[123];
};

static void unref(gl_ws *ws) {
  if (--ws->refs > 0) return;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  for (message *m = ws->head, *next; m; m = next) {
    next = m->next;
    free(m);
  }
  gl_buf_free(&ws->rest);
  wslay_event_context_free(ws->ctx);
  free(ws);
}

static void wake(gl_op **slot, int status) {
  gl_op *op = *slot;
  if (!op) return;
  *slot = NULL;
  gl_op_done(op, status);
}

static void wake_writers(gl_ws *ws, int status) {
  while (ws->writers) {
    gl_op *op = ws->writers;
    ws->writers = op->next;
    gl_op_done(op, status);
  }
}

/* ---- the peer's side ended, or ours did ---- */

static void set_over(gl_ws *ws, uint16_t code) {
  if (ws->over) return;
  ws->over = true;
  if (!ws->close_code) ws->close_code = code;
  wake(&ws->reader, 0);
}

static void drop(gl_ws *ws, uint16_t code) {
  set_over(ws, code);
  if (ws->stream) gl_stream_close(ws->stream);
}

/* Hand what wslay wants to say to the stream; after the last close frame, let go. */
static void pump(gl_ws *ws) {
  if (!ws->stream) return;
  if (wslay_event_want_write(ws->ctx) && wslay_event_send(ws->ctx) != 0) {
    drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  bool sent = wslay_event_get_close_sent(ws->ctx);
  if (sent && (wslay_event_get_close_received(ws->ctx) || !wslay_event_get_read_enabled(ws->ctx))) {
    set_over(ws, wslay_event_get_status_code_sent(ws->ctx));
    gl_stream_finish(ws->stream, false);
  }
}

static void begin_close(gl_ws *ws, uint16_t code, const char *reason, size_t n) {
  if (ws->closing || !ws->stream) return;
  ws->closing = true;
  wslay_event_queue_close(ws->ctx, code, (const uint8_t *)reason, n);
  gl_timer_arm(&ws->host->clock, &ws->timer, CLOSE_SECONDS);
  pump(ws);
}

static void on_timer(gl_timer *timer) {
  gl_ws *ws = GL_CONTAINER(timer, gl_ws, timer);
  if (!ws->stream) return;
  uint64_t quiet = uv_now(&ws->host->loop) - ws->heard;
  if (ws->closing || quiet > (uint64_t)(ws->limits.idle_timeout * 1000)) {
    drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};
  wslay_event_queue_msg(ws->ctx, &ping);
  pump(ws);
  gl_timer_arm(&ws->host->clock, &ws->timer, ws->limits.ping_interval);
}

/* ---- wslay's callbacks ---- */

static ssize_t on_wslay_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, int flags, void *data) {
  gl_ws *ws = data;
  (void)flags;
  if (!ws->in_len) {
    wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  if (n > ws->in_len) n = ws->in_len;
  memcpy(buf, ws->in, n);
  ws->in += n;
  ws->in_len -= n;
  return (ssize_t)n;
}

static ssize_t on_wslay_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags, void *data) {
  gl_ws *ws = data;
  (void)flags;
  if (!gl_stream_write(ws->stream, bytes, n)) {
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
  }
  return (ssize_t)n;
}

static void on_wslay_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *data) {
  gl_ws *ws = data;
  (void)ctx;
  if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
    ws->close_code = arg->status_code ? arg->status_code : WSLAY_CODE_NO_STATUS_RCVD;
    size_t n = arg->msg_length > 2 ? arg->msg_length - 2 : 0; /* the code stands before the reason */
    if (n > sizeof ws->reason) n = sizeof ws->reason;
    memcpy(ws->reason, arg->msg + (arg->msg_length - n), n);
    ws->reason_len = (uint8_t)n;
    ws->closing = true; /* wslay answers it by itself */
    set_over(ws, ws->close_code);
    return;
  }
  if (arg->opcode != WSLAY_TEXT_FRAME && arg->opcode != WSLAY_BINARY_FRAME) return;
  message *m = malloc(sizeof *m + arg->msg_length);
  if (!m) {
    begin_close(ws, WSLAY_CODE_INTERNAL_SERVER_ERROR, "", 0);
    return;
  }
  m->next = NULL;
  m->len = arg->msg_length;
  m->binary = arg->opcode == WSLAY_BINARY_FRAME;
  memcpy(m->bytes, arg->msg, m->len);
  *ws->tail = m;
  ws->tail = &m->next;
  ws->queued += m->len + sizeof *m;
  wake(&ws->reader, 0);
}

/* ---- the stream ---- */

static void on_data(gl_stream *s, const char *bytes, size_t n) {
  gl_ws *ws = s->owner;
  ws->heard = uv_now(&ws->host->loop);
  ws->in = bytes;
  ws->in_len = n;
  int err = wslay_event_recv(ws->ctx);
  ws->in_len = 0; /* after a close frame the rest is not read */
  if (err != 0) {
    drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
    return;
  }
  pump(ws);
  if (ws->queued > QUEUE_HIGH && !ws->over) gl_stream_pause(s);
}

static void on_end(gl_stream *s, int status) {
  (void)status;
  drop(s->owner, WSLAY_CODE_ABNORMAL_CLOSURE);
}

static void on_drained(gl_stream *s) {
  gl_ws *ws = s->owner;
  wake_writers(ws, s->broken ? UV_EPIPE : 0);
}

static void on_closed(gl_stream *s) {
  gl_ws *ws = s->owner;
  ws->stream = NULL;
  gl_timer_drop(&ws->host->clock, &ws->timer);
  set_over(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  wake_writers(ws, UV_EPIPE);
  wake(&ws->closer, 0);
  unref(ws);
}

static const gl_stream_user ws_user = {on_data, on_end, on_drained, on_closed};

/* ---- the connection whose task serves it ---- */

static void on_retire(void *proto) { begin_close(proto, WSLAY_CODE_GOING_AWAY, "", 0); }

static void on_over(void *proto, bool failed) {
  gl_ws *ws = proto;
  begin_close(ws, failed ? WSLAY_CODE_INTERNAL_SERVER_ERROR : WSLAY_CODE_NORMAL_CLOSURE, "", 0);
}

static void on_abort(void *proto) { drop(proto, WSLAY_CODE_GOING_AWAY); }

static const gl_takeover takeover = {on_retire, on_abort, on_over};

gl_ws *gl_ws_new(lua_State *L, gl_conn *c, const gl_ws_limits *limits) {
  static const struct wslay_event_callbacks callbacks = {on_wslay_recv, on_wslay_send, NULL, NULL, NULL, NULL, on_wslay_message};
  gl_ws **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, META);
  gl_ws *ws = calloc(1, sizeof *ws);
  if (!ws || wslay_event_context_server_init(&ws->ctx, &callbacks, ws) != 0) {
    free(ws);
    gl_error_raise(L, "ws.accept", "ENOMEM", "not enough memory");
    return NULL;
  }
  wslay_event_config_set_max_recv_msg_length(ws->ctx, limits->max_message);
  ws->host = gl_host_of(L);
  ws->stream = gl_conn_take(c, &ws->rest, &takeover, ws);
  ws->stream->user = &ws_user;
  ws->stream->owner = ws;
  ws->tail = &ws->head;
  ws->limits = *limits;
  ws->refs = 2;
  ws->timer.fire = on_timer;
  ws->heard = uv_now(&ws->host->loop);
  *handle = ws;
  return ws;
}

void gl_ws_start(gl_ws *ws) {
  gl_timer_arm(&ws->host->clock, &ws->timer, ws->limits.ping_interval);
  gl_stream_read(ws->stream);
  if (ws->rest.len) on_data(ws->stream, gl_buf_at(&ws->rest), ws->rest.len);
  gl_buf_free(&ws->rest);
}

/* ---- receiving ---- */

static gl_ws *check_ws(lua_State *L) { return *(gl_ws **)luaL_checkudata(L, 1, META); }

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
  message *m = ws->head;
  if (!m) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, m->bytes, m->len); /* may raise: the message is still queued then */
  lua_pushstring(L, m->binary ? "binary" : "text");
  if (!(ws->head = m->next)) ws->tail = &ws->head;
  ws->queued -= m->len + sizeof *m;
  free(m);
  if (ws->stream && ws->queued < QUEUE_HIGH / 2) gl_stream_read(ws->stream);
  return 2;
}

static int push_receive(lua_State *L, gl_op *op) { return push_message(L, ((ws_op *)op)->ws); }

static void cancel_receive(gl_op *op) {
  ((ws_op *)op)->ws->reader = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype receive_type = {"ws.receive", push_receive, cancel_receive, free_ws};

static int ws_receive(lua_State *L) {
  gl_ws *ws = check_ws(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (ws->head || ws->over) return push_message(L, ws);
  if (ws->reader) return gl_error_raise(L, "ws.receive", "EBUSY", "another task is receiving from this socket");
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
  gl_op **at = &((ws_op *)op)->ws->writers;
  while (*at != op) at = &(*at)->next;
  *at = op->next;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype send_type = {"ws.send", push_send, cancel_send, free_ws};

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const char *text, size_t n) {
  const unsigned char *p = (const unsigned char *)text, *end = p + n;
  while (p < end) {
    if (*p < 0x80) {
      p++;
      continue;
    }
    int more = *p >= 0xC2 && *p <= 0xDF ? 1 : (*p & 0xF0) == 0xE0 ? 2 : *p >= 0xF0 && *p <= 0xF4 ? 3 : 0;
    if (!more || end - p <= more) return false;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return false;
    for (int i = 1; i <= more; i++)
      if ((p[i] & 0xC0) != 0x80) return false;
    p += more + 1;
  }
  return true;
}

static bool is_open(const gl_ws *ws) { return ws->stream && !ws->closing && !ws->over; }

static void queue_message(gl_ws *ws, uint8_t opcode, const char *bytes, size_t n) {
  struct wslay_event_msg msg = {opcode, (const uint8_t *)bytes, n};
  if (wslay_event_queue_msg(ws->ctx, &msg) != 0) drop(ws, WSLAY_CODE_ABNORMAL_CLOSURE);
  else pump(ws);
}

static const char *check_message(lua_State *L, uint8_t opcode, size_t *n) {
  const char *bytes = luaL_checklstring(L, 2, n);
  if (opcode == WSLAY_TEXT_FRAME && !is_utf8(bytes, *n))
    gl_error_raise(L, "ws.send", "EILSEQ", "a text message must be valid UTF-8; send bytes with send_binary");
  return bytes;
}

static int send_message(lua_State *L, uint8_t opcode) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = check_message(L, opcode, &n);
  if (!is_open(ws)) return gl_error_status(L, "ws.send", UV_EPIPE, "the socket is closed");
  queue_message(ws, opcode, bytes, n);
  if (!ws->stream || !gl_stream_full(ws->stream)) return 0;
  ws_op *w = ws_op_new(L, ws, &send_type);
  gl_op **at = &ws->writers;
  while (*at) at = &(*at)->next;
  *at = &w->op;
  return gl_await(L, &w->op, GL_FOREVER);
}

static int ws_send(lua_State *L) { return send_message(L, WSLAY_TEXT_FRAME); }
static int ws_send_binary(lua_State *L) { return send_message(L, WSLAY_BINARY_FRAME); }

/* ws:try_send(text) -> true; or false, "closed" | "slow" without waiting: nothing was sent then. */
static int ws_try_send(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = check_message(L, WSLAY_TEXT_FRAME, &n);
  const char *why = !is_open(ws) ? "closed" : gl_stream_pending(ws->stream) > ws->limits.max_pending ? "slow" : NULL;
  if (why) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, why);
    return 2;
  }
  queue_message(ws, WSLAY_TEXT_FRAME, bytes, n);
  lua_pushboolean(L, 1);
  return 1;
}

static int ws_ping(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = luaL_optlstring(L, 2, "", &n);
  luaL_argcheck(L, n <= 125, 2, "a ping carries 125 bytes at most");
  if (!is_open(ws)) return gl_error_status(L, "ws.ping", UV_EPIPE, "the socket is closed");
  queue_message(ws, WSLAY_PING, bytes, n);
  return 0;
}

/* ---- closing ---- */

static int push_close(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void cancel_close(gl_op *op) {
  ((ws_op *)op)->ws->closer = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype close_type = {"ws.close", push_close, cancel_close, free_ws};

/* Codes an application may send (RFC 6455, 7.4). */
static bool may_send(lua_Integer code) {
  return code == 1000 || code == 1001 || code == 1003 || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static gl_ws *close_begin(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  lua_Integer code = luaL_optinteger(L, 2, 1000);
  const char *reason = luaL_optlstring(L, 3, "", &n);
  luaL_argcheck(L, may_send(code), 2, "not a close code an application may send");
  luaL_argcheck(L, n <= 123 && is_utf8(reason, n), 3, "a close reason is UTF-8 of 123 bytes at most");
  begin_close(ws, (uint16_t)code, reason, n);
  return ws;
}

/* ws:close([code [, reason]]) waits for the peer's answer, a few seconds at most. */
static int ws_close(lua_State *L) {
  gl_ws *ws = close_begin(L);
  if (!ws->stream || ws->closer) return 0;
  ws_op *w = ws_op_new(L, ws, &close_type);
  ws->closer = &w->op;
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
  if (ws->stream) drop(ws, WSLAY_CODE_GOING_AWAY);
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
