/* SPDX-License-Identifier: MIT
 *
 * WebSockets as scripts see them: the userdata and its methods, each waiting as an op.
 */
#include <stdlib.h>
#include <string.h>

#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/op.h"
#include "core/opqueue.h"
#include "core/task.h"
#include "web/call.h"
#include "web/websocket_lua.h"

#define META GL_WS_META
#define SEND_MAX ((size_t)1 << 30)

gl_ws **gl_ws_handle(lua_State *L) {
  gl_ws **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, META);
  return handle;
}

/* ---- receiving ---- */

static gl_ws *check_ws(lua_State *L) {
  gl_ws *ws = *(gl_ws **)gl_class_self(L, META);
  if (!ws) gl_error_status(L, "ws", UV_EPIPE, "the socket was collected");
  return ws;
}

/* Does the handler's task run? */
static bool is_handler(const gl_ws *ws) { return ws->serving && gl_call_of(ws->x)->task == ws->host->task; }

gl_subscriber *gl_ws_listener(lua_State *L, int idx) {
  gl_ws **handle = luaL_testudata(L, idx, META);
  gl_ws *ws = handle ? *handle : NULL;
  return ws && !ws->over && gl_ws_is_open(ws) ? &ws->listener : NULL;
}

/* ---- ops ---- */

typedef struct ws_op {
  gl_op op;
  gl_ws *ws; /* referenced */
} ws_op;

static void free_ws(gl_op *op) { gl_ws_unref(((ws_op *)op)->ws); }

static ws_op *ws_op_new(lua_State *L, gl_ws *ws, const gl_optype *type) {
  ws_op *w = gl_op_new(L, type, sizeof *w, 0);
  w->ws = ws;
  ws->refs++;
  return w;
}

/* Pushes the first message in the queue and its kind, or nil at the end, or no value when another task has taken the message. To push
 * strings may raise, and the message stays in the queue then; and it may run finalizers, during which another task may take the
 * message. */
static int push_message(lua_State *L, gl_ws *ws) {
  gl_message *m = ws->head;
  if (!m && !ws->over) return 0;
  if (!m) {
    if (is_handler(ws)) ws->known = true;
    gl_ws_receiver_ended(ws);
    lua_pushnil(L);
    return 1;
  }
  uint64_t received = ws->received;
  const char *kind = m->binary ? "binary" : "text";
  lua_pushlstring(L, m->bytes, m->len); /* Lua copies the bytes before it may collect garbage */
  lua_pushstring(L, kind);
  if (ws->received != received) {
    lua_pop(L, 2);
    return push_message(L, ws);
  }
  if (!(ws->head = m->next)) ws->tail = &ws->head;
  ws->queued -= m->cap + sizeof *m;
  ws->received++;
  gl_message_free(m);
  gl_ws_receiver_took(ws);
  if (ws->client || is_handler(ws)) gl_budget_renew(ws->host->task);
  if (ws->stream && ws->queued < GL_WS_QUEUE_HIGH / 2) gl_stream_read(ws->stream);
  return 2;
}

static int push_receive(lua_State *L, gl_op *op) {
  gl_ws *ws = ((ws_op *)op)->ws;
  int n = push_message(L, ws); /* no other task takes the message while `delivering` */
  ws->delivering = false;
  return n;
}

static void cancel_receive(gl_op *op) {
  ((ws_op *)op)->ws->reader = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_receive(gl_op *op) {
  gl_ws *ws = ((ws_op *)op)->ws;
  if (op->status == 0) ws->delivering = false; /* also when pushing raised */
  gl_ws_unref(ws);
}

static const gl_optype receive_type = {"ws.receive", push_receive, cancel_receive, free_receive};

/* ws:receive([timeout]) -> message, "text" | "binary"; nil once the socket is closed */
static int ws_receive(lua_State *L) {
  gl_ws *ws = check_ws(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (ws->over && !ws->head && !ws->delivering) return push_message(L, ws); /* a cancelled task gets its nil, too */
  gl_op_check(L, &receive_type);
  while (ws->head || ws->over || ws->reader || ws->delivering) {
    if (ws->reader || ws->delivering) return gl_error_raise(L, "ws.receive", "EBUSY", "another task is receiving from this socket");
    int n = push_message(L, ws);
    if (n) return n;
  }
  ws_op *w = ws_op_new(L, ws, &receive_type);
  ws->in_hand = false;
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

/* Raises, or returns false if the peer left while a message of the peer is still being handled, which is no fault of the script's. */
static int cannot_send(lua_State *L, gl_ws *ws, const char *op) {
  if (ws->handler_closed) return gl_error_status(L, op, UV_EPIPE, "the socket is closed");
  if (!gl_ws_is_attended(ws)) return gl_error_departure(L, op, UV_EPIPE, "the peer is gone");
  lua_pushboolean(L, 0);
  return 1;
}

static int push_send(lua_State *L, gl_op *op) {
  if (op->status < 0) return cannot_send(L, ((ws_op *)op)->ws, op->type->name);
  lua_pushboolean(L, 1);
  return 1;
}

static void cancel_send(gl_op *op) { gl_opqueue_cancel(&((ws_op *)op)->ws->writers, op); }

static const gl_optype send_type = {"ws.send", push_send, cancel_send, free_ws};

static const char *check_message(lua_State *L, gl_opcode opcode, size_t *n) {
  const char *bytes = luaL_checklstring(L, 2, n);
  luaL_argcheck(L, *n <= SEND_MAX, 2, "a message has 1 GiB at most");
  if (opcode == GL_TEXT && !gl_is_utf8(bytes, *n))
    gl_error_raise(L, "ws.send", "EILSEQ", "a text message must be valid UTF-8; send bytes with send_binary");
  return bytes;
}

static int send_message(lua_State *L, gl_opcode opcode) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = check_message(L, opcode, &n);
  if (!gl_ws_is_open(ws)) return cannot_send(L, ws, "ws.send");
  if (!gl_stream_room(ws->stream, n + GL_FRAME_HEAD)) return gl_memory_raise(L);
  gl_ws_put_message(ws, opcode, bytes, n);
  bool full = gl_stream_full(ws->stream);
  if (ws->stream->closing) return cannot_send(L, ws, "ws.send");
  if (!full) {
    lua_pushboolean(L, 1);
    return 1;
  }
  ws_op *w = ws_op_new(L, ws, &send_type);
  gl_opqueue_push(&ws->writers, &w->op);
  return gl_await(L, &w->op, GL_FOREVER);
}

static int ws_send(lua_State *L) { return send_message(L, GL_TEXT); }
static int ws_send_binary(lua_State *L) { return send_message(L, GL_BINARY); }

/* ws:try_send(message [, kind]) -> true; or false and "closed" or "slow", when nothing was sent. Never waits. */
static int ws_try_send(lua_State *L) {
  static const char *const kinds[] = {"text", "binary", NULL};
  gl_ws *ws = *(gl_ws **)gl_class_self(L, META);
  size_t n;
  gl_opcode opcode = luaL_checkoption(L, 3, "text", kinds) ? GL_BINARY : GL_TEXT;
  const char *bytes = check_message(L, opcode, &n);
  bool open = ws && gl_ws_is_open(ws), room = open && gl_ws_has_room(ws, n + GL_FRAME_HEAD);
  if (room && !gl_stream_room(ws->stream, n + GL_FRAME_HEAD)) return gl_memory_raise(L);
  if (room) gl_ws_put_message(ws, opcode, bytes, n);
  lua_pushboolean(L, room);
  if (room) return 1;
  lua_pushstring(L, open && gl_ws_is_open(ws) ? "slow" : "closed");
  return 2;
}

static int ws_ping(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  const char *bytes = luaL_optlstring(L, 2, "", &n);
  luaL_argcheck(L, n <= GL_CONTROL_MAX, 2, "a ping carries 125 bytes at most");
  if (!gl_ws_is_open(ws)) return cannot_send(L, ws, "ws.ping");
  gl_ws_put(ws, GL_PING, bytes, n);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- closing ---- */

static int push_close(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void cancel_close(gl_op *op) { gl_opqueue_cancel(&((ws_op *)op)->ws->closers, op); }

static const gl_optype close_type = {"ws.close", push_close, cancel_close, free_ws};

/* May an application send the code? 1002 is about frames, which an application does not see; only a client sends 1010. */
static bool may_send(lua_Integer code) { return gl_close_code_ok(code) && code != 1002 && code != 1010; }

static gl_ws *close_begin(lua_State *L) {
  gl_ws *ws = check_ws(L);
  size_t n;
  lua_Integer code = luaL_optinteger(L, 2, 1000);
  const char *reason = luaL_optlstring(L, 3, "", &n);
  luaL_argcheck(L, may_send(code), 2, "not a close code an application may send");
  luaL_argcheck(L, n <= GL_REASON_MAX && gl_is_utf8(reason, n), 3, "a close reason is UTF-8 of 123 bytes at most");
  ws->known = true;
  if (ws->client || is_handler(ws)) ws->handler_closed = true;
  gl_ws_close(ws, (uint16_t)code, reason, n);
  return ws;
}

/* ws:close([code [, reason]]): sends our close frame, and waits until the stream is closed, 5 s at most for a peer that does nothing. */
static int ws_close(lua_State *L) {
  gl_ws *ws = close_begin(L);
  if (!ws->stream) return 0;
  ws_op *w = ws_op_new(L, ws, &close_type);
  gl_opqueue_push(&ws->closers, &w->op);
  return gl_await(L, &w->op, GL_FOREVER);
}

/* ws:shut([code [, reason]]): sends our close frame, and does not wait. */
static int ws_shut(lua_State *L) {
  close_begin(L);
  return 0;
}

/* ws:terminate(): closes the connection now, without a close frame */
static int ws_terminate(lua_State *L) {
  gl_ws *ws = check_ws(L);
  ws->known = true;
  if (ws->client || is_handler(ws)) ws->handler_closed = true;
  gl_ws_terminate(ws);
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
  else if (strcmp(key, "open") == 0) lua_pushboolean(L, gl_ws_is_open(ws));
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
  gl_ws **handle = gl_class_self(L, META);
  gl_ws *ws = *handle;
  if (!ws) return 0;
  *handle = NULL;
  ws->orphan = true;
  gl_hub_unsubscribe_all(&ws->listener);
  bool over = ws->client && (ws->host->stop || ws->host->census.tasks == 0); /* the loop will not run any more */
  gl_ws_close(ws, GL_CLOSE_GOING_AWAY, NULL, 0); /* a close that has begun goes on without the handle */
  if (over) gl_ws_terminate(ws);
  gl_ws_unref(ws);
  return 0;
}

void gl_ws_metatable(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"receive", ws_receive},   {"messages", ws_messages}, {"send", ws_send},   {"send_binary", ws_send_binary},
    {"try_send", ws_try_send}, {"ping", ws_ping},         {"close", ws_close}, {"shut", ws_shut},
    {"terminate", ws_terminate}, {NULL, NULL},
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
