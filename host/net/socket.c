/* SPDX-License-Identifier: MIT */
#include "net/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/opqueue.h"
#include "net/tls.h"
#include "net/tls_lua.h"

#define SOCKET "green.socket"
#define IN_HIGH ((size_t)256 * 1024)
#define LINGER_SECONDS 30 /* for which output that was written before close may go on leaving */
#define DRAIN_SECONDS 2   /* for which the other side may go on sending once all output has left */

void gl_socket_unref(gl_socket *s) {
  if (--s->refs > 0) return;
  gl_timer_drop(&s->host->clock, &s->linger);
  gl_buf_free(&s->in);
  free(s);
}

void gl_socket_wake(gl_op *op, int status) {
  if (op && !op->done) gl_op_done(op, status);
}

/* ---- the stream ---- */

static void on_data(gl_stream *stream, const char *bytes, size_t n) {
  gl_socket *s = stream->owner;
  if (s->closed) return;
  if (!gl_buf_add(&s->in, bytes, n)) {
    gl_buf_free(&s->in); /* all is dropped: reading on would miss bytes in the middle */
    s->ended = UV_ENOMEM;
    gl_stream_close(stream);
  } else if (s->in.len > IN_HIGH) {
    gl_stream_pause(stream);
  }
  gl_socket_wake(s->reader, 0);
}

static void on_end(gl_stream *stream, int status) {
  gl_socket *s = stream->owner;
  s->ended = status;
  gl_socket_wake(s->reader, 0);
  if (status != UV_EOF) gl_socket_wake(s->writer, status);
  if (!s->closed) return;
  if (stream->shut) gl_stream_close(stream); /* both sides have ended */
  else gl_stream_finish(stream, false);
}

static void on_drained(gl_stream *stream) { gl_socket_wake(((gl_socket *)stream->owner)->writer, stream->broken ? UV_EPIPE : 0); }

static void on_closed(gl_stream *stream) {
  gl_socket *s = stream->owner;
  if (!s) return;
  s->stream = NULL;
  if (s->closed) s->host->holds--;
  if (!s->ended) s->ended = UV_ECANCELED;
  gl_socket_wake(s->reader, UV_ECANCELED);
  gl_socket_wake(s->writer, UV_ECANCELED);
  gl_socket_wake(s->securer, UV_ECANCELED);
  gl_socket_unref(s);
}

const gl_stream_user gl_socket_user = {on_data, on_end, on_drained, on_closed};

void gl_socket_secured(gl_stream *stream, int status) {
  gl_socket *s = stream->owner;
  gl_socket_wake(s->securer, status);
}

/* ---- handles ---- */

gl_socket *gl_socket_check(lua_State *L) { return gl_class_check(L, 1, SOCKET); }

gl_socket **gl_socket_push(lua_State *L) {
  gl_socket **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, SOCKET);
  return handle;
}

static void on_linger(gl_timer *timer) {
  gl_socket *s = GL_CONTAINER(timer, gl_socket, linger);
  if (!s->stream) return;
  s->lingered += DRAIN_SECONDS;
  if (s->stream->shut || s->lingered >= LINGER_SECONDS || !gl_timer_arm(&s->host->clock, timer, DRAIN_SECONDS)) gl_stream_close(s->stream);
}

gl_socket *gl_socket_new(gl_host *h, gl_stream *stream) {
  gl_socket *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->linger.fire = on_linger;
  s->host = h;
  s->stream = stream;
  s->refs = 2;
  stream->owner = s;
  return s;
}

bool gl_socket_is_free(const gl_socket *s) {
  bool used = s->reader || s->writer || s->securer;
  return s->stream && !s->closed && !s->stream->after_output && (!s->ended || s->ended == UV_EOF) && !used;
}

bool gl_socket_is_idle(const gl_socket *s) { return gl_socket_is_free(s) && !s->ended && !s->in.len; }

void gl_socket_released(gl_socket *s) {
  s->stream = NULL;
  s->closed = true;
  gl_socket_unref(s);
}

/* ---- waiting ---- */

void gl_socket_cancel(gl_op *op) {
  *((gl_socket_op *)op)->slot = NULL;
  gl_op_done(op, UV_ECANCELED);
}

void gl_socket_free(gl_op *op) { gl_socket_unref(((gl_socket_op *)op)->s); }

void gl_socket_object(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const gl_socket_op *)op)->s->peer); }

gl_socket_op *gl_socket_wait(lua_State *L, const gl_optype *type, gl_socket *s, gl_op **slot) {
  gl_socket_op *op = gl_op_new(L, type, sizeof *op, 0);
  op->s = s;
  op->slot = slot;
  s->refs++;
  *slot = &op->op;
  return op;
}

int gl_socket_raise(lua_State *L, const char *op, const gl_socket *s, int status) {
  const char *code, *fault = s->stream && !s->closed ? gl_tls_fault(s->stream, &code) : NULL;
  if (s->closed) return gl_error_raise(L, op, "ECLOSED", "%s: the socket was closed", s->peer);
  if (fault) return gl_error_raise(L, op, code, "%s: %s", s->peer, fault);
  return gl_error_status(L, op, status, s->peer);
}

/* ---- read and write ---- */

static int push_bytes(lua_State *L, gl_socket *s, size_t max) {
  if (s->in.len && !s->closed) {
    size_t n = s->in.len < max ? s->in.len : max;
    lua_pushlstring(L, gl_buf_at(&s->in), n);
    if (s->closed) return 1; /* pushing ran a finalizer that has closed the socket, and with it freed `in` */
    gl_buf_eat(&s->in, n);
    if (!s->in.len) gl_buf_free(&s->in);
    if (s->stream && s->in.len <= IN_HIGH / 2) gl_stream_read(s->stream);
    return 1;
  }
  if (s->closed || s->ended != UV_EOF) return gl_socket_raise(L, "net.read", s, s->ended);
  lua_pushnil(L);
  return 1;
}

static int push_read(lua_State *L, gl_op *op) {
  gl_socket *s = ((gl_socket_op *)op)->s;
  s->reader = NULL;
  return push_bytes(L, s, ((gl_socket_op *)op)->max);
}

static const gl_optype read_type = {"net.read", push_read, gl_socket_cancel, gl_socket_free, gl_socket_object};

/* socket:read([max [, timeout]]) -> bytes, or nil at the end */
static int sock_read(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  lua_Integer max = luaL_optinteger(L, 2, 65536);
  luaL_argcheck(L, max > 0, 2, "a number of bytes > 0 expected");
  double timeout = gl_check_timeout(L, 3, 30);
  gl_op_refuse_finalizer(L, &read_type);
  if (s->reader && !gl_op_is_foreign(s->reader)) return gl_error_raise(L, "net.read", "EBUSY", "%s: another task is reading from this socket", s->peer);
  if (s->in.len || s->ended || s->closed) return push_bytes(L, s, (size_t)max);
  if (s->stream) gl_stream_read(s->stream); /* needed in a forked child only, where the stream does not read yet */
  gl_socket_op *op = gl_socket_wait(L, &read_type, s, &s->reader);
  op->max = (size_t)max;
  return gl_await(L, &op->op, timeout);
}

static int push_write(lua_State *L, gl_op *op) {
  gl_socket *s = ((gl_socket_op *)op)->s;
  s->writer = NULL;
  if (op->status < 0) return gl_socket_raise(L, "net.write", s, op->status);
  return 0;
}

static const gl_optype write_type = {"net.write", push_write, gl_socket_cancel, gl_socket_free, gl_socket_object};

/* socket:write(bytes [, timeout]) returns when the peer keeps up */
static int sock_write(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  double timeout = gl_check_timeout(L, 3, 30);
  gl_stream *stream = s->stream;
  if (s->closed || !stream || stream->closing || stream->broken || stream->after_output || stream->shut) return gl_socket_raise(L, "net.write", s, UV_EPIPE);
  if (s->writer && !gl_op_is_foreign(s->writer)) return gl_error_raise(L, "net.write", "EBUSY", "%s: another task is writing to this socket", s->peer);
  if (!gl_stream_room(stream, n)) return gl_memory_raise(L);
  gl_stream_write(stream, bytes, n);
  if (!gl_stream_full(stream)) return 0;
  gl_socket_op *op = gl_socket_wait(L, &write_type, s, &s->writer);
  return gl_await(L, &op->op, timeout);
}

/* socket:shutdown(): the peer reads the end; this side may go on reading */
static int sock_shutdown(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  if (s->stream && !s->closed) gl_stream_finish(s->stream, true);
  return 0;
}

/* Closes the socket for its users, wakes the ops that wait, and lets written output leave for a while. With TLS the other side may be
 * sending session tickets unasked: closing while those are unread would reset the connection, and our last output would be lost. */
static void close_gently(gl_socket *s) {
  if (s->closed) return;
  s->closed = true;
  if (!s->stream) return;
  s->host->holds++; /* keeps the host running until the output has left, also when the script has ended */
  bool drain = gl_tls_secured(s->stream) && !s->ended && !gl_stream_is_foreign(s->stream);
  gl_buf_free(&s->in);
  if (gl_timer_arm(&s->host->clock, &s->linger, DRAIN_SECONDS)) gl_stream_finish(s->stream, drain);
  else gl_stream_close(s->stream);
  if (drain) gl_stream_read(s->stream);
  gl_socket_wake(s->reader, UV_ECANCELED);
  gl_socket_wake(s->writer, UV_ECANCELED);
  gl_socket_wake(s->securer, UV_ECANCELED);
}

static int sock_close(lua_State *L) {
  gl_socket *s = *(gl_socket **)gl_class_self(L, SOCKET);
  if (s) close_gently(s);
  return 0;
}

static int sock_gc(lua_State *L) {
  gl_socket **handle = gl_class_self(L, SOCKET);
  gl_socket *s = *handle;
  if (!s) return 0;
  *handle = NULL;
  bool over = s->host->stop || s->host->census.tasks == 0; /* the loop will not run any more */
  close_gently(s);
  if (s->stream && over) gl_stream_close(s->stream);
  gl_socket_unref(s);
  return 0;
}

/* socket:user() -> id of the user whose process is on the other side of a unix socket, or nil */
static int sock_user(lua_State *L) {
  const gl_socket *s = gl_socket_check(L);
  struct ucred who;
  socklen_t len = sizeof who;
  uv_os_fd_t fd;
  if (s->closed || !s->stream || s->stream->uv.handle.type != UV_NAMED_PIPE) return 0;
  if (uv_fileno(&s->stream->uv.handle, &fd) != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) return 0;
  lua_pushinteger(L, (lua_Integer)who.uid);
  return 1;
}

/* socket:peer() -> address of the other side, or nil */
static int sock_peer(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  char text[GL_ADDRESS_MAX];
  struct sockaddr_storage sa;
  int len = sizeof sa;
  if (s->closed || !s->stream || s->stream->uv.handle.type != UV_TCP) return 0;
  if (uv_tcp_getpeername(&s->stream->uv.tcp, (struct sockaddr *)&sa, &len) != 0) return 0;
  gl_address_text((struct sockaddr *)&sa, text);
  lua_pushstring(L, text);
  return 1;
}

void gl_socket_class(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"read", sock_read},   {"write", sock_write}, {"shutdown", sock_shutdown},        {"close", sock_close},
    {"peer", sock_peer},   {"user", sock_user},   {"tls", gl_socket_tls}, {"start_tls", gl_socket_start_tls}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", sock_gc}, {"__close", sock_close}, {NULL, NULL}};
  gl_class_new(L, SOCKET, methods, meta);
}
