/* SPDX-License-Identifier: MIT */
#include "web/writer.h"

#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/open_file.h"
#include "h1/fields.h"
#include "web/plan.h"
#include "web/request.h"

#define META "green.writer"

typedef struct write_op {
  gl_op op;
  gl_exchange *x; /* valid until the op is done, and not after: the call ends its ops before it releases the exchange */
} write_op;

static int finished(lua_State *L) { return gl_error_raise(L, "http.write", "ECLOSED", "the response was finished already"); }

static int push_write(lua_State *L, gl_op *op) {
  if (op->status == UV_ECANCELED) return finished(L);
  if (op->status < 0) return gl_error_departure(L, op->type->name, op->status, "the client is gone");
  return 0;
}

static void cancel_write(gl_op *op) {
  gl_call_of(((write_op *)op)->x)->writer = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype write_type = {"http.write", push_write, cancel_write, NULL};

/* Returns the exchange of the writer at 1, to which this task may write. */
static gl_exchange *check_writer(lua_State *L) {
  gl_exchange *x = (*(gl_request **)gl_class_self(L, META))->x;
  if (!x || x->out != GL_OUT_BODY) finished(L);
  if (gl_call_of(x)->writer) gl_error_raise(L, "http.write", "EBUSY", "another task is writing this response");
  if (!x->carrier->is_open(x)) gl_error_departure(L, "http.write", UV_EPIPE, "the client is gone");
  return x;
}

static int refuse(lua_State *L, int err) {
  return err == UV_EMSGSIZE ? luaL_error(L, "the stream of a response is longer than its Content-Length") : gl_memory_raise(L);
}

/* out:write(bytes): returns when the client keeps up; raises when the client is gone. The first write, be it empty, sends the head. */
static int writer_write(lua_State *L) {
  size_t n;
  gl_class_self(L, META);
  const char *bytes = luaL_checklstring(L, 2, &n);
  gl_exchange *x = check_writer(L);
  int err = x->carrier->send_body(x, bytes, n);
  if (err) return refuse(L, err);
  if (!x->carrier->is_full(x)) return 0;
  write_op *w = gl_op_new(L, &write_type, sizeof *w, 0);
  w->x = x;
  gl_call_of(x)->writer = &w->op;
  return gl_await(L, &w->op, GL_FOREVER);
}

/* ---- a part of a file ---- */

static int push_file(lua_State *L, gl_op *op) {
  int status = op->status;
  if (status == UV_ENOMEM || status == UV_EMSGSIZE) return refuse(L, status);
  if (!status || status == UV_ECANCELED || status == UV_EPIPE || status == UV_ECONNABORTED) return push_write(L, op);
  return gl_open_file_raise(L, "response.file", op->pin, status);
}

/* What follows would get between the parts of the file, which goes on by itself. */
static void cancel_file(gl_op *op) {
  gl_exchange *x = ((write_op *)op)->x;
  x->carrier->cut(x);
  cancel_write(op);
}

static const gl_optype file_type = {"http.write", push_file, cancel_file, NULL};

int gl_writer_write_file(lua_State *L) {
  gl_class_self(L, META);
  gl_open_file *f = gl_open_file_check(L, 2, "http.write");
  uint64_t at, n;
  gl_open_file_check_part(L, 3, &at, &n);
  gl_exchange *x = check_writer(L);
  write_op *w = gl_op_new(L, &file_type, sizeof *w, 2); /* first: once the file is on its way, nothing may raise */
  w->x = x;
  int err = x->carrier->send_file(x, f, at, n);
  if (!err && x->carrier->is_full(x)) gl_call_of(x)->writer = &w->op;
  else gl_op_done(&w->op, err);
  return gl_await(L, &w->op, GL_FOREVER);
}

/* ---- trailers ---- */

/* Refuses the fields of the table at index 2 that cannot be trailers, by name. Other faults are gl_plan_read_headers's to find. */
static void check_trailers(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    size_t n;
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *name = lua_tolstring(L, -2, &n);
    if (!gl_field_may_trail(name, n)) gl_error_raise(L, "http.write", "EINVAL", "trailer '%s' belongs into the head", name);
  }
}

/* out:trailers(fields): sets the fields that follow the body */
static int writer_trailers(lua_State *L) {
  gl_request **writer = gl_class_self(L, META);
  char *scratch = gl_host_of(L)->scratch;
  gl_plan p = {.what = "trailer", .text = scratch, .fields = (gl_field *)(void *)(scratch + GL_SCRATCH)};
  check_trailers(L);
  gl_exchange *x = (*writer)->x;
  if (!x || x->out != GL_OUT_BODY) return finished(L);
  gl_plan_read_headers(L, 2, &p);
  gl_fields *kept = &gl_call_of(x)->trailers, given = {p.text, p.fields - p.nfields, p.nfields};
  gl_fields_free(kept);
  return gl_fields_copy(kept, &given) ? 0 : gl_memory_raise(L);
}

void gl_writer_push(lua_State *L, gl_exchange *x) {
  gl_request **writer = lua_newuserdatauv(L, sizeof *writer, 1);
  *writer = gl_call_of(x)->req;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, META);
}

void gl_writer_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"trailers", writer_trailers}, {"write", writer_write}, {NULL, NULL}};
  gl_class_new(L, META, methods, NULL);
}
