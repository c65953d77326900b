/* SPDX-License-Identifier: MIT */
#include "client/module.h"

#include <string.h>

#include "client/answer.h"
#include "client/outgoing.h"
#include "client/plan.h"
#include "client/pool_lua.h"
#include "client/spec.h"
#include "client/stats.h"
#include "core/class.h"
#include "core/error.h"
#include "net/tls_lua.h"
#include "transport/roundtrip.h"

#define CLASS "green.http.stream"
enum { BODY = 1 }; /* user value: the string that is being sent */

/* The userdata of a round trip whose response is read, or whose request is written, in pieces. */
typedef struct handle {
  gl_roundtrip *rt; /* referenced; NULL: closed */
  double patience;  /* seconds for each piece that is read */
  bool sent;        /* once closed: the request may have reached the server */
} handle;

typedef struct trip_op {
  gl_op op;
  gl_roundtrip *rt; /* referenced; NULL: the reference went over to a handle */
} trip_op;

static void free_trip(gl_op *op) {
  trip_op *t = (trip_op *)op;
  if (!t->rt) return;
  if (t->rt->waiter == op) gl_roundtrip_leave(t->rt);
  gl_roundtrip_unref(t->rt);
}

/* Names the op's object for green.debug: "POST api.example:443". */
static void object_trip(const gl_op *op, char *out, size_t size) {
  const gl_roundtrip *rt = ((const trip_op *)op)->rt;
  if (!rt) return;
  const char *host = strstr(rt->url, "://");
  host = host ? host + 3 : rt->url;
  int n = (int)strcspn(host, "/?#");
  const char *end = memchr(host, ']', (size_t)n), *port = memchr(end ? end : host, ':', (size_t)(host + n - (end ? end : host)));
  const char *suffix = port ? "" : strncmp(rt->url, "https:", 6) == 0 ? ":443" : ":80";
  snprintf(out, size, "%s %.*s%s", rt->method, n, host, suffix);
}

/* ---- handles ---- */

static handle *push_handle(lua_State *L) {
  handle *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (handle){0};
  luaL_setmetatable(L, CLASS);
  return h;
}

static void adopt(handle *h, gl_roundtrip *rt) {
  h->rt = rt;
  h->patience = rt->limits.phase[GL_PHASE_BODY] < rt->limits.total ? rt->limits.phase[GL_PHASE_BODY] : rt->limits.total;
  rt->pool->host->census.handles++;
}

/* handle:close() -> whether the request may have reached the server */
static int handle_close(lua_State *L) {
  handle *h = luaL_checkudata(L, 1, CLASS);
  gl_roundtrip *rt = h->rt;
  if (rt) {
    h->rt = NULL;
    rt->pool->host->census.handles--;
    gl_roundtrip_abort(rt, UV_ECONNABORTED, "the response was closed");
    h->sent = rt->exposed || rt->headed;
    gl_roundtrip_unref(rt);
  }
  lua_pushboolean(L, h->sent);
  return 1;
}

static gl_roundtrip *check_open(lua_State *L, const char *op) {
  handle *h = gl_class_self(L, CLASS);
  if (!h->rt) gl_error_raise(L, op, "ECONNABORTED", "the response was closed");
  return h->rt;
}

/* ---- the answer ---- */

static int push_answer(lua_State *L, gl_op *op) { /* answer, repeated or nil, handle or nil */
  trip_op *t = (trip_op *)op;
  gl_roundtrip *rt = t->rt;
  bool streams = rt->streams && rt->headed;
  if (rt->status && !streams) return gl_answer_raise(L, rt);
  gl_answer_push(L, rt);
  rt->answered = true;
  if (streams) return 2;
  const gl_buf *body = gl_roundtrip_body(rt);
  lua_pushlstring(L, body->len ? gl_buf_at(body) : "", body->len);
  lua_setfield(L, -3, "body");
  return 2;
}

/* Pushes the results of native.send; a response whose body is streamed gets a handle. */
static int push_send(lua_State *L, gl_op *op) {
  trip_op *t = (trip_op *)op;
  push_answer(L, op);
  if (!(t->rt->streams && t->rt->headed)) return 2;
  handle *h = push_handle(L);
  if (op->pin != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
    lua_setiuservalue(L, -2, BODY);
  }
  adopt(h, t->rt);
  t->rt = NULL;
  return 3;
}

static void cancel_send(gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  gl_roundtrip_leave(rt);
  gl_roundtrip_abort(rt, UV_ECANCELED, "the request was given up");
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype send_type = {"http.request", push_send, cancel_send, free_trip, object_trip};

/* send(spec) -> answer, repeated or nil [, handle when the body is still to be read] */
static int http_send(lua_State *L) {
  gl_op_check(L, &send_type);
  gl_pool *p = gl_outgoing_read(L);
  trip_op *t = gl_op_new(L, &send_type, sizeof *t, lua_type(L, 2) == LUA_TSTRING ? 2 : 0);
  t->rt = gl_pool_take_claim(p);
  gl_roundtrip_start(t->rt, &t->op);
  return gl_await(L, &t->op, GL_FOREVER);
}

/* plan(spec) -> plan: a request without a body, for again */
static int http_plan(lua_State *L) {
  gl_op_check(L, &send_type);
  return gl_plan_lua(L);
}

/* again(plan) -> as send */
static int http_again(lua_State *L) {
  gl_op_check(L, &send_type);
  gl_pool *p = gl_plan_begin(L);
  trip_op *t = gl_op_new(L, &send_type, sizeof *t, 0);
  t->rt = gl_pool_take_claim(p);
  gl_roundtrip_start(t->rt, &t->op);
  return gl_await(L, &t->op, GL_FOREVER);
}

/* ---- in pieces ---- */

/* open(spec) -> handle: a request whose body is written by and by */
static int http_open(lua_State *L) {
  gl_op_check(L, &send_type);
  gl_pool *p = gl_outgoing_read(L);
  handle *h = push_handle(L);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, BODY);
  adopt(h, gl_pool_take_claim(p));
  gl_roundtrip_start(h->rt, NULL);
  return 1;
}

static int push_write(lua_State *L, gl_op *op) {
  lua_pushboolean(L, op->status == 0);
  return 1;
}

static void cancel_write(gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  rt->writer = NULL;
  rt->piece = (gl_upload_piece){0};
  gl_roundtrip_abort(rt, UV_ECANCELED, "the request was given up"); /* a piece that was begun cannot be taken back */
  gl_op_done(op, UV_ECANCELED);
}

static void free_write(gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  if (rt) gl_roundtrip_unref(rt);
}

static const gl_optype write_type = {"http.write", push_write, cancel_write, free_write, object_trip};

/* Returns the round trip of a handle that may write the next piece, which it checks. */
static gl_roundtrip *check_writer(lua_State *L) {
  gl_roundtrip *rt = check_open(L, "http.write");
  if (rt->writer) gl_error_raise(L, "http.write", "EBUSY", "another task writes this request");
  if (rt->upload != GL_UPLOAD_PIECES || rt->finishing) gl_error_raise(L, "http.write", "EINVAL", "the request was finished");
  return rt;
}

/* handle:write(bytes) -> true, or false when the server does not want more: it has answered, or is gone. Waits for room; with no bytes,
 * until a server that was asked for its agreement (Expect) has given it. */
static int handle_write(lua_State *L) {
  size_t n;
  check_open(L, "http.write");
  const char *bytes = luaL_checklstring(L, 2, &n);
  gl_roundtrip *rt = check_writer(L);
  if (!n && !rt->request.expect) {
    lua_pushboolean(L, !rt->over && !rt->stopped);
    return 1;
  }
  trip_op *t = gl_op_new(L, &write_type, sizeof *t, 2);
  t->rt = rt;
  rt->refs++;
  gl_roundtrip_write(rt, &t->op, (gl_upload_piece){.bytes = bytes, .n = n});
  return gl_await(L, &t->op, GL_FOREVER);
}

typedef struct file_op {
  trip_op trip;
  gl_open_file *file; /* referenced */
} file_op;

static int push_write_file(lua_State *L, gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  if (op->status == 0 || !rt->file_error) return push_write(L, op);
  char name[GL_SPEC_OP];
  gl_spec_op(rt->method, name);
  return gl_open_file_raise(L, name, op->pin, op->status);
}

static void free_write_file(gl_op *op) {
  gl_open_file *f = ((file_op *)op)->file;
  if (f) gl_open_file_unref(f);
  free_write(op);
}

static const gl_optype write_file_type = {"http.write", push_write_file, cancel_write, free_write_file, object_trip};

/* handle:write_file(file, at, n) -> as handle:write does, once `n` bytes of the file from `at` on are with the kernel. Raises what is wrong
 * with the file. */
static int handle_write_file(lua_State *L) {
  check_open(L, "http.write");
  gl_open_file *f = gl_open_file_check(L, 2, "http.write");
  uint64_t at, n;
  gl_open_file_check_part(L, 3, &at, &n);
  gl_roundtrip *rt = check_writer(L);
  file_op *o = gl_op_new(L, &write_file_type, sizeof *o, 2);
  o->trip.rt = rt;
  o->file = gl_open_file_ref(f);
  rt->refs++;
  gl_roundtrip_write(rt, &o->trip.op, (gl_upload_piece){.file = f, .at = at, .n = n});
  return gl_await(L, &o->trip.op, GL_FOREVER);
}

/* handle:finish([trailers]): the body has ended */
static int handle_finish(lua_State *L) {
  gl_fields trailers = {0};
  lua_settop(L, 2);
  gl_roundtrip *rt = check_open(L, "http.write");
  if (!lua_isnil(L, 2)) trailers = gl_outgoing_trailers(L, 2);
  if (!gl_roundtrip_finish(rt, &trailers)) return gl_error_raise(L, "http.write", "ENOMEM", "not enough memory");
  return 0;
}

static const gl_optype answer_type = {"http.request", push_answer, cancel_send, free_trip, object_trip};

/* handle:answer() -> answer, repeated or nil */
static int handle_answer(lua_State *L) {
  gl_roundtrip *rt = check_open(L, "http.request");
  if (rt->waiter) return gl_error_raise(L, "http.read", "EBUSY", "another task waits for this answer");
  trip_op *t = gl_op_new(L, &answer_type, sizeof *t, 1);
  t->rt = rt;
  rt->refs++;
  gl_roundtrip_wait(rt, &t->op, GL_FOREVER);
  return gl_await(L, &t->op, GL_FOREVER);
}

static int push_read(lua_State *L, gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  rt->taker = NULL;
  const gl_buf *body = gl_roundtrip_body(rt);
  if (body->len) {
    lua_pushlstring(L, gl_buf_at(body), body->len);
    gl_roundtrip_eat(rt);
    return 1;
  }
  if (rt->status) return gl_answer_raise(L, rt);
  lua_pushnil(L);
  return 1;
}

static void cancel_read(gl_op *op) {
  gl_roundtrip_leave(((trip_op *)op)->rt);
  gl_op_done(op, UV_ECANCELED);
}

/* Forgets the taker, if the task ended after its op was done and before push_read. */
static void free_read(gl_op *op) {
  gl_roundtrip *rt = ((trip_op *)op)->rt;
  if (rt && rt->taker == op) rt->taker = NULL;
  free_trip(op);
}

static const gl_optype read_type = {"http.read", push_read, cancel_read, free_read, object_trip};

/* handle:read() -> the next bytes, nil at the end. Waits. */
static int handle_read(lua_State *L) {
  gl_roundtrip *rt = check_open(L, "http.read");
  if (rt->waiter || rt->taker) return gl_error_raise(L, "http.read", "EBUSY", "another task reads this response");
  double patience = ((handle *)lua_touserdata(L, 1))->patience;
  trip_op *t = gl_op_new(L, &read_type, sizeof *t, 1);
  t->rt = rt;
  rt->refs++;
  rt->taker = &t->op;
  gl_roundtrip_wait(rt, &t->op, patience);
  return gl_await(L, &t->op, GL_FOREVER);
}

/* handle:trailers() -> headers, repeated or nil: the fields behind the body; no value when there are none */
static int handle_trailers(lua_State *L) {
  gl_roundtrip *rt = check_open(L, "http.read");
  if (!rt->trailers) return 0;
  gl_answer_push_trailers(L, rt->trailers);
  return 2;
}

/* ---- the pool ---- */

static int http_close_idle(lua_State *L) {
  gl_pool_close_idle(gl_pool_of(L));
  return 0;
}

int luaopen_green_http_transport(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"answer", handle_answer}, {"close", handle_close}, {"finish", handle_finish}, {"read", handle_read},
    {"trailers", handle_trailers}, {"write", handle_write}, {"write_file", handle_write_file}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", handle_close}, {"__close", handle_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"again", http_again}, {"close_idle", http_close_idle}, {"open", http_open}, {"plan", http_plan}, {"send", http_send}, {"stats", gl_stats_lua}, {NULL, NULL}};
  gl_plan_setup(L);
  gl_class_new(L, CLASS, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
