/* SPDX-License-Identifier: MIT
 *
 * The functions and methods of green.redis.native: a connection is taken from a socket, and then called.
 */
#include "db/redis/module.h"

#include <ctype.h>
#include <stdio.h>

#include <lauxlib.h>

#include "core/class.h"
#include "core/error.h"
#include "core/opqueue.h"
#include "db/redis/conn.h"
#include "db/redis/reply.h"
#include "net/socket.h"

#define CONN "green.redis.connection"
#define SENT_MAX ((size_t)1 << 30) /* bytes that one command may have */

static gl_redis_conn *check_conn(lua_State *L) { return gl_class_check(L, 1, CONN); }

/* take(socket, max_reply) -> a connection; the socket is closed for scripts */
static int redis_take(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  lua_Integer max_reply = luaL_checkinteger(L, 2);
  gl_redis_conn **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = NULL;
  luaL_setmetatable(L, CONN);
  if (!gl_socket_is_idle(s)) return gl_error_raise(L, "redis.connect", "EPROTO", "%s: not a server that waits for a command", s->peer);
  *at = gl_redis_conn_new(s->host, s->stream, s->peer, (size_t)max_reply);
  if (!*at) return luaL_error(L, "not enough memory");
  gl_socket_released(s);
  return 1;
}

/* ---- the op ---- */

static int raise_failure(lua_State *L, const gl_redis_op *r) {
  const char *peer = r->conn->peer, *name = *r->name ? r->name : "push";
  switch (r->op.status) {
    case UV_EOF: return gl_error_raise(L, r->op.type->name, "ECONNRESET", "%s: %s: the server closed the connection", name, peer);
    case UV_EPROTO: return gl_error_raise(L, r->op.type->name, "EPROTO", "%s: %s: what came is no reply of Redis", name, peer);
    case UV_EMSGSIZE: return gl_error_raise(L, r->op.type->name, "EMSGSIZE", "%s: %s: the reply is larger than max_reply", name, peer);
    case UV_ECANCELED: return gl_error_raise(L, r->op.type->name, "ECLOSED", "%s: %s: the connection was closed", name, peer);
    default: return gl_error_status(L, r->op.type->name, r->op.status, lua_pushfstring(L, "%s: %s", name, peer));
  }
}

/* "GET" -> "redis.get" */
static const char *push_op_name(lua_State *L, const gl_redis_op *r) {
  char text[sizeof r->name + 8];
  snprintf(text, sizeof text, "redis.%s", r->name);
  for (char *c = text; *c; c++) *c = (char)tolower((unsigned char)*c);
  return lua_pushstring(L, text);
}

static int push_call(lua_State *L, gl_op *op) {
  gl_redis_op *r = (gl_redis_op *)op;
  size_t at = 0;
  if (op->status < 0) return raise_failure(L, r);
  const char *bytes = gl_buf_at(&r->replies);
  gl_redis_push_reply(L, push_op_name(L, r), bytes, r->replies.len, &at);
  return gl_redis_is_error(bytes, 0) ? lua_error(L) : 1;
}

static int push_batch(lua_State *L, gl_op *op) {
  gl_redis_op *r = (gl_redis_op *)op;
  size_t at = 0;
  if (op->status < 0) return raise_failure(L, r);
  lua_createtable(L, (int)r->expected, 0);
  const char *name = push_op_name(L, r);
  for (uint32_t i = 1; i <= r->expected; i++) {
    gl_redis_push_item(L, name, gl_buf_at(&r->replies), r->replies.len, &at);
    lua_rawseti(L, -3, i);
  }
  lua_pop(L, 1);
  return 1;
}

static int push_receive(lua_State *L, gl_op *op) {
  gl_redis_op *r = (gl_redis_op *)op;
  size_t at = 0;
  if (r->conn->receiver == op) r->conn->receiver = NULL;
  if (op->status < 0) return raise_failure(L, r);
  gl_redis_push_reply(L, "redis.receive", gl_buf_at(&r->replies), r->replies.len, &at);
  return 1;
}

static void cancel_receive(gl_op *op) {
  gl_redis_op *r = (gl_redis_op *)op;
  if (r->conn->receiver == op) r->conn->receiver = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_op(gl_op *op) {
  gl_redis_op *r = (gl_redis_op *)op;
  if (r->conn->receiver == op) r->conn->receiver = NULL;
  gl_buf_free(&r->replies);
  gl_redis_conn_unref(r->conn);
}

static void object_op(const gl_op *op, char *out, size_t size) {
  const gl_redis_op *r = (const gl_redis_op *)op;
  snprintf(out, size, "%s%s%s", r->name, *r->name ? ": " : "", r->conn->peer);
}

static const gl_optype call_type = {"redis.call", push_call, NULL, free_op, object_op};
static const gl_optype batch_type = {"redis.pipeline", push_batch, NULL, free_op, object_op};
static const gl_optype receive_type = {"redis.receive", push_receive, cancel_receive, free_op, object_op};

static gl_redis_op *op_new(lua_State *L, const gl_optype *type, gl_redis_conn *c, const char *name) {
  gl_redis_op *r = gl_op_new(L, type, sizeof *r, 0);
  r->conn = c;
  c->refs++;
  snprintf(r->name, sizeof r->name, "%s", name);
  return r;
}

/* ---- calls ---- */

static gl_redis_conn *check_open(lua_State *L, const char *op) {
  gl_redis_conn *c = check_conn(L);
  if (c->status || !c->stream || gl_stream_is_foreign(c->stream)) gl_error_raise(L, op, "ECLOSED", "%s: the connection was closed", c->peer);
  return c;
}

static size_t measure(lua_State *L, int first) {
  luaL_argcheck(L, lua_type(L, first) == LUA_TSTRING, first, "the name of a command expected");
  size_t size = gl_redis_measure(L, first, lua_gettop(L));
  luaL_argcheck(L, size <= SENT_MAX, first, "a command of more than 1 GiB");
  return size;
}

/* Writes the command from `first` to the top. False: out of memory; then the stream is broken. */
static bool write_command(lua_State *L, gl_redis_conn *c, int first, size_t size) {
  char *room = gl_stream_room(c->stream, size);
  if (!room) return false;
  gl_redis_write(L, first, lua_gettop(L), room);
  gl_stream_wrote(c->stream, size);
  return true;
}

/* conn:call(timeout, name, ...) -> the reply */
static int conn_call(lua_State *L) {
  double timeout = gl_check_timeout(L, 2, 0);
  size_t size = measure(L, 3);
  gl_redis_conn *c = check_open(L, "redis.call");
  gl_redis_op *r = op_new(L, &call_type, c, lua_tostring(L, 3));
  if (write_command(L, c, 3, size)) gl_redis_conn_expect(c, r, 1);
  else gl_op_done(&r->op, UV_ENOMEM);
  return gl_await(L, &r->op, timeout);
}

/* encode(name, ...) -> the bytes of the command */
static int redis_encode(lua_State *L) {
  luaL_Buffer b;
  int last = lua_gettop(L);
  size_t size = measure(L, 1);
  char *room = luaL_buffinitsize(L, &b, size);
  gl_redis_write(L, 1, last, room);
  luaL_pushresultsize(&b, size);
  return 1;
}

/* conn:batch(timeout, name, bytes, n) -> the replies to n commands, which leave together; null is false, errors are error objects */
static int conn_batch(lua_State *L) {
  size_t size;
  double timeout = gl_check_timeout(L, 2, 0);
  const char *name = luaL_checkstring(L, 3), *bytes = luaL_checklstring(L, 4, &size);
  lua_Integer n = luaL_checkinteger(L, 5);
  luaL_argcheck(L, n > 0 && n < INT32_MAX, 5, "out of range");
  gl_redis_conn *c = check_open(L, "redis.pipeline");
  gl_redis_op *r = op_new(L, &batch_type, c, name);
  if (gl_stream_write(c->stream, bytes, size)) gl_redis_conn_expect(c, r, (uint32_t)n);
  else gl_op_done(&r->op, UV_ENOMEM);
  return gl_await(L, &r->op, timeout);
}

/* conn:send(name, ...): a command whose reply is a push, or none. Does not wait. */
static int conn_send(lua_State *L) {
  size_t size = measure(L, 2);
  gl_redis_conn *c = check_open(L, "redis.send");
  if (!write_command(L, c, 2, size)) return luaL_error(L, "not enough memory");
  return 0;
}

/* conn:receive(timeout) -> the next push, a list */
static int conn_receive(lua_State *L) {
  gl_redis_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, 0);
  if (c->receiver && !gl_op_is_foreign(c->receiver)) return gl_error_raise(L, "redis.push", "EBUSY", "%s: another task receives", c->peer);
  gl_redis_op *r = op_new(L, &receive_type, c, "");
  gl_redis_conn_receive(c, r);
  return gl_await(L, &r->op, timeout);
}

/* conn:listen(): what comes from now on is a push, whatever it looks like */
static int conn_listen(lua_State *L) {
  check_conn(L)->listening = true;
  return 0;
}

/* conn:alive(patience) -> can it be used? */
static int conn_alive(lua_State *L) {
  gl_redis_conn *c = check_conn(L);
  lua_pushboolean(L, gl_redis_conn_alive(c, luaL_checknumber(L, 2)));
  return 1;
}

static int conn_close(lua_State *L) {
  gl_redis_conn *c = *(gl_redis_conn **)gl_class_self(L, CONN);
  if (c) gl_redis_conn_fail(c, UV_ECANCELED);
  return 0;
}

static int conn_gc(lua_State *L) {
  gl_redis_conn **at = gl_class_self(L, CONN), *c = *at;
  *at = NULL;
  if (!c) return 0;
  gl_redis_conn_fail(c, UV_ECANCELED);
  gl_redis_conn_unref(c);
  return 0;
}

int luaopen_green_redis(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", redis_encode}, {"take", redis_take}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"alive", conn_alive}, {"batch", conn_batch}, {"call", conn_call},       {"close", conn_close},
                                     {"listen", conn_listen}, {"receive", conn_receive}, {"send", conn_send}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", conn_gc}, {"__close", conn_close}, {NULL, NULL}};
  gl_class_new(L, CONN, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
