/* SPDX-License-Identifier: MIT
 *
 * The body of a request, as a handler reads it: whole, up to a limit, or piece by piece as the pieces come.
 */
#include "core/error.h"
#include "core/op.h"
#include "h1/fields.h"
#include "web/request.h"
#include "web/server_lua.h"

static const char body_key; /* key in a request's table of fields: the whole body, once it was read */

typedef struct body_op {
  gl_op op;
  gl_exchange *x; /* valid until the op is done, and not after: the call ends its ops before it releases the exchange */
  size_t max;     /* of a whole body: bytes, more are refused; of pieces: 0 */
} body_op;

static int too_large(lua_State *L, size_t max) {
  gl_error_push(L, "req.body", "EMSGSIZE", "the request body is larger than %d bytes", (int)max);
  lua_pushinteger(L, 413);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

static int responded(lua_State *L) { return gl_error_raise(L, "req.body", "ECLOSED", "the request was answered already"); }

static int broken(lua_State *L, const gl_exchange *x, int status) {
  if (status == UV_ENOMEM) gl_error_push(L, "req.body", "ENOMEM", "not enough memory");
  else if (status == UV_EPROTO) gl_error_push(L, "req.body", "EPROTO", "the request body is malformed%s%s", x->why ? ": " : "", x->why ? x->why : "");
  else if (status == UV_ETIMEDOUT) gl_error_push(L, "req.body", "ETIMEDOUT", "the request body took too long");
  else gl_error_push(L, "req.body", uv_err_name(status), "the connection ended within the request body");
  lua_pushinteger(L, status == UV_ENOMEM ? 503 : status == UV_ETIMEDOUT ? 408 : 400);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

/* Pushes the bytes that are there, as a string, and eats them. To push may run finalizers, after which the request may be answered,
 * or more bytes may have come. */
static int take(lua_State *L, gl_exchange *x) {
  size_t n = x->body.len;
  lua_pushlstring(L, n ? gl_buf_at(&x->body) : "", n);
  x = gl_check_request(L, 1)->x;
  if (!x || n > x->body.len) return 1;
  gl_buf_eat(&x->body, n);
  if (!x->body.len) gl_buf_free(&x->body);
  return 1;
}

static int bad(lua_State *L, const gl_exchange *x) { return broken(L, x, x->error); }

static int take_whole(lua_State *L, gl_exchange *x, size_t max) {
  if (x->body.len > max) return too_large(L, max);
  if (x->in == GL_IN_BAD) return bad(L, x);
  take(L, x);
  gl_request_fields(L, 1);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, &body_key);
  lua_pop(L, 1);
  return 1;
}

static int take_piece(lua_State *L, gl_exchange *x) {
  if (x->body.len) return take(L, x);
  if (x->in == GL_IN_BAD) return bad(L, x);
  lua_pushnil(L);
  return 1;
}

static int push_body(lua_State *L, gl_op *op) {
  body_op *b = (body_op *)op;
  gl_exchange *x = gl_check_request(L, 1)->x;
  if (!x) return responded(L);
  gl_call_of(x)->body_busy = false;
  if (op->status < 0) return broken(L, x, op->status);
  return b->max ? take_whole(L, x, b->max) : take_piece(L, x);
}

static void cancel_body(gl_op *op) {
  body_op *b = (body_op *)op;
  gl_call *call = gl_call_of(b->x);
  call->reader = NULL;
  call->body_busy = false;
  b->x->waiting = false;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype body_type = {"req.body", push_body, cancel_body, NULL};

static gl_exchange *check_exchange(lua_State *L) {
  gl_request *r = gl_check_request(L, 1);
  if (!r->x) responded(L);
  if (gl_call_of(r->x)->body_busy) gl_error_raise(L, "req.body", "EBUSY", "another task is reading this body");
  return r->x;
}

static int read_body(lua_State *L, gl_exchange *x, size_t max) {
  body_op *b = gl_op_new(L, &body_type, sizeof *b, 0);
  b->x = x;
  b->max = max;
  gl_call_of(x)->reader = &b->op;
  gl_call_of(x)->body_busy = true;
  x->carrier->want(x, max);
  return gl_await(L, &b->op, GL_FOREVER);
}

/* ---- bodies with a Content-Encoding ---- */

static bool is_coded(const gl_request *r) {
  size_t n;
  return gl_request_header(r, "content-encoding", &n) != NULL;
}

/* Pushes the function that undoes the codings of the request's body, the request and the value at index 2. False: there is none, because nobody
 * has loaded green.request, which puts them into the table that is the upvalue. */
static bool push_undoing(lua_State *L, const char *name) {
  if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TFUNCTION) return false;
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  return true;
}

static int next_piece(lua_State *L);

static void push_pieces(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_piece, 1);
}

static int undone(lua_State *L, int status, lua_KContext before) {
  (void)status;
  return lua_gettop(L) - (int)before;
}

static int undo(lua_State *L) {
  int before = lua_gettop(L) - 3;
  push_pieces(L);
  lua_callk(L, 3, LUA_MULTRET, before, undone);
  return undone(L, LUA_OK, before);
}

static size_t limit_of(const gl_exchange *x, lua_Integer asked) {
  return asked ? (size_t)asked : ((const gl_server *)x->context)->limits.max_body;
}

/* req:body([max]) -> string */
static int req_body(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  lua_Integer asked = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, asked >= 0 && asked <= 1 << 30, 2, "a number of bytes up to 1 GiB expected");
  lua_settop(L, 1);
  lua_pushinteger(L, r->x ? (lua_Integer)limit_of(r->x, asked) : asked);
  if (is_coded(r) && push_undoing(L, "body")) return undo(L);
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE && lua_rawgetp(L, -1, &body_key) == LUA_TSTRING) return 1;
  gl_exchange *x = check_exchange(L);
  size_t max = limit_of(x, asked);
  uint64_t left = x->to_come;
  if (left > max || x->body.len + left > max) return too_large(L, max);
  if (x->in != GL_IN_BODY || x->body.len > max || !x->carrier->is_open(x)) return take_whole(L, x, max);
  return read_body(L, x, max);
}

/* The iterator of req:chunks(). The request is its upvalue, so that the iterator alone can be handed on. */
static int next_piece(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  gl_exchange *x = check_exchange(L);
  if (x->body.len || x->in != GL_IN_BODY || !x->carrier->is_open(x)) return take_piece(L, x);
  return read_body(L, x, 0);
}

/* for piece in req:chunks([options]) do ... end */
static int req_chunks(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  lua_settop(L, 2);
  if ((is_coded(r) || !lua_isnil(L, 2)) && push_undoing(L, "chunks")) return undo(L); /* it checks options, too */
  push_pieces(L);
  return 1;
}

/* Adds a field to the table on top; values of one name are joined. A field that may be no trailer is left out, so that no script takes it
 * for a header. */
static void add_trailer(lua_State *L, const gl_head *h, const gl_field *f) {
  if (!gl_field_may_trail(h->text + f->name, f->name_len)) return;
  gl_text value = gl_text_trim(gl_text_of(h->text + f->value, f->value_len));
  lua_pushlstring(L, h->text + f->name, f->name_len);
  lua_pushvalue(L, -1);
  bool more = lua_rawget(L, -3) != LUA_TNIL; /* name before */
  if (more) lua_pushliteral(L, ", ");
  lua_pushlstring(L, value.at, gl_text_len(value));
  if (more) lua_concat(L, 3);
  else lua_remove(L, -2);
  lua_rawset(L, -3);
}

/* req:trailers() -> the fields behind the body that was read, by lower-case name; nil when there are none */
static int req_trailers(lua_State *L) {
  gl_exchange *x = gl_check_request(L, 1)->x;
  gl_head *h = x && x->in == GL_IN_DONE && !x->body.len ? x->trailers : NULL;
  if (!h) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, 0, (int)h->nfields);
  for (uint32_t i = 0; i < h->nfields; i++) add_trailer(L, h, &h->fields[i]); /* the exchange ends with a task, for which no finalizer can wait */
  return 1;
}

void gl_request_body_methods(lua_State *L) {
  lua_newtable(L); /* methods coded */
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, req_body, 1);
  lua_setfield(L, -3, "body");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, req_chunks, 1);
  lua_setfield(L, -3, "chunks");
  lua_setfield(L, -3, "coded");
  lua_pushcfunction(L, req_trailers);
  lua_setfield(L, -2, "trailers");
}
