/* SPDX-License-Identifier: MIT
 *
 * Reading the body of a request: whole, up to a limit, or piece by piece as it comes.
 */
#include "core/error.h"
#include "http/request.h"
#include "http/server.h"

static const char body_key; /* in a request's table of fields: its whole body, once it was read */

typedef struct body_op {
  gl_op op;
  gl_conn *conn;  /* valid until done, not after: the connection wakes us before it goes */
  size_t max;     /* whole: refuse more than this; pieces: 0 */
} body_op;

static int too_large(lua_State *L, size_t max) {
  gl_error_push(L, "req.body", "EMSGSIZE", "the request body is larger than %d bytes", (int)max);
  lua_pushinteger(L, 413);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

static int responded(lua_State *L) { return gl_error_raise(L, "req.body", "ECLOSED", "the request was answered already"); }

static int broken(lua_State *L, int status) {
  if (status == UV_ENOMEM) gl_error_push(L, "req.body", "ENOMEM", "not enough memory");
  else if (status == UV_EPROTO) gl_error_push(L, "req.body", "EPROTO", "the request body is malformed");
  else if (status == UV_ETIMEDOUT) gl_error_push(L, "req.body", "ETIMEDOUT", "the request body took too long");
  else gl_error_push(L, "req.body", uv_err_name(status), "the connection ended within the request body");
  lua_pushinteger(L, status == UV_ENOMEM ? 503 : status == UV_ETIMEDOUT ? 408 : 400);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

/* The bytes that are there, as a string; they are gone from the connection then. */
static int take(lua_State *L, gl_conn *c) {
  if (c->body.len == 0) {
    lua_pushliteral(L, "");
  } else {
    lua_pushlstring(L, gl_buf_at(&c->body), c->body.len);
    gl_buf_free(&c->body);
  }
  return 1;
}

static int bad(lua_State *L, const gl_conn *c) { return broken(L, c->body_refused ? UV_ENOMEM : UV_EPROTO); }

static int take_whole(lua_State *L, gl_conn *c, size_t max) {
  if (c->body.len > max) return too_large(L, max);
  if (c->reader.state == GL_H1_BAD) return bad(L, c);
  take(L, c);
  gl_request_fields(L, 1);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, &body_key);
  lua_pop(L, 1);
  return 1;
}

static int take_piece(lua_State *L, gl_conn *c) {
  if (c->body.len) return take(L, c);
  if (c->reader.state == GL_H1_BAD) return bad(L, c);
  lua_pushnil(L);
  return 1;
}

static int push_body(lua_State *L, gl_op *op) {
  body_op *b = (body_op *)op;
  gl_conn *c = gl_check_request(L, 1)->conn;
  if (!c) return responded(L);
  c->body_busy = false;
  if (op->status < 0) return broken(L, op->status);
  return b->max ? take_whole(L, c, b->max) : take_piece(L, c);
}

static void cancel_body(gl_op *op) {
  body_op *b = (body_op *)op;
  b->conn->waiter = NULL;
  b->conn->body_busy = false;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype body_type = {"req.body", push_body, cancel_body, NULL};

static gl_conn *check_conn(lua_State *L) {
  gl_request *r = gl_check_request(L, 1);
  if (!r->conn) responded(L);
  if (r->conn->body_busy) gl_error_raise(L, "req.body", "EBUSY", "another task is reading this body");
  return r->conn;
}

static int read_body(lua_State *L, gl_conn *c, size_t max) {
  body_op *b = gl_op_new(L, &body_type, sizeof *b, 0);
  b->conn = c;
  b->max = max;
  c->waiter = &b->op;
  c->body_busy = true;
  c->reader_wants = max;
  gl_conn_want_body(c);
  return gl_await(L, &b->op, GL_FOREVER);
}

/* req:body([max]) -> string */
static int req_body(lua_State *L) {
  gl_check_request(L, 1);
  lua_Integer asked = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, asked >= 0 && asked <= 1 << 30, 2, "a number of bytes up to 1 GiB expected");
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE && lua_rawgetp(L, -1, &body_key) == LUA_TSTRING) return 1;
  gl_conn *c = check_conn(L);
  size_t max = asked ? (size_t)asked : c->server->limits.max_body;
  uint64_t left = c->reader.left; /* what is still to come of a body of known length */
  if (left > max || c->body.len + left > max) return too_large(L, max);
  if (c->reader.state == GL_H1_DONE || c->reader.state == GL_H1_BAD || c->body.len > max || !c->stream) return take_whole(L, c, max);
  return read_body(L, c, max);
}

/* upvalue: the request, so that the iterator alone can be handed on */
static int next_piece(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  gl_conn *c = check_conn(L);
  if (c->body.len || c->reader.state == GL_H1_DONE || c->reader.state == GL_H1_BAD || !c->stream) return take_piece(L, c);
  return read_body(L, c, 0);
}

/* for piece in req:chunks() do ... end */
static int req_chunks(lua_State *L) {
  gl_check_request(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, next_piece, 1);
  return 1;
}

void gl_request_body_methods(lua_State *L) {
  lua_pushcfunction(L, req_body);
  lua_setfield(L, -2, "body");
  lua_pushcfunction(L, req_chunks);
  lua_setfield(L, -2, "chunks");
}
