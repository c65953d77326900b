/* SPDX-License-Identifier: MIT
 *
 * Client and accepted sockets. One task may read while another writes; a second reader is told so. What has
 * arrived and was not read yet waits in `in`, up to a mark; then the peer waits.
 */
#include "net/socket.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/stream.h"

#define SOCKET "green.socket"
#define LISTENER "green.listener"
#define IN_HIGH ((size_t)256 * 1024)
#define BACKLOG_MAX 1024 /* accepted connections no task has asked for yet */
#define LINGER_SECONDS 30.0 /* for output that was written before close */

typedef struct sock {
  gl_host *host;
  gl_stream *stream; /* NULL once gone */
  struct sock *next; /* in a listener's queue */
  gl_buf in;
  gl_op *reader, *writer, *connector; /* until their result was taken */
  uv_connect_t connect;
  gl_timer linger;
  int ended;         /* 0, or UV_EOF or the error reading ended with */
  uint32_t refs;     /* the handle, the stream, each op */
  bool closed;       /* by this side */
  char peer[GL_ADDRESS_MAX]; /* for messages */
} sock;

static void unref(sock *s) {
  if (--s->refs > 0) return;
  gl_timer_drop(&s->host->clock, &s->linger);
  gl_buf_free(&s->in);
  free(s);
}

/* The slot stays taken until the woken task has come for the result: another one must not take it first. */
static void wake(gl_op *op, int status) {
  if (op && !op->done) gl_op_done(op, status);
}

/* ---- the stream ---- */

static void on_data(gl_stream *stream, const char *bytes, size_t n) {
  sock *s = stream->owner;
  if (!gl_buf_add(&s->in, bytes, n)) {
    s->ended = UV_ENOMEM;
    gl_stream_close(stream);
  } else if (s->in.len > IN_HIGH) {
    gl_stream_pause(stream);
  }
  wake(s->reader, 0);
}

static void on_end(gl_stream *stream, int status) {
  sock *s = stream->owner;
  s->ended = status;
  wake(s->reader, 0);
  if (status != UV_EOF) wake(s->writer, status);
}

static void on_drained(gl_stream *stream) { wake(((sock *)stream->owner)->writer, stream->broken ? UV_EPIPE : 0); }

static void on_closed(gl_stream *stream) {
  sock *s = stream->owner;
  if (!s) return;
  s->stream = NULL;
  if (s->closed) s->host->holds--;
  if (!s->ended) s->ended = UV_ECANCELED;
  wake(s->reader, UV_ECANCELED);
  wake(s->writer, UV_ECANCELED);
  unref(s);
}

static const gl_stream_user sock_user = {on_data, on_end, on_drained, on_closed};

/* ---- handles ---- */

static sock *check_sock(lua_State *L) { return *(sock **)luaL_checkudata(L, 1, SOCKET); }

static sock **push_handle(lua_State *L) {
  sock **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, SOCKET);
  return handle;
}

static void on_linger(gl_timer *timer) {
  sock *s = GL_CONTAINER(timer, sock, linger);
  if (s->stream) gl_stream_close(s->stream);
}

static sock *sock_new(gl_host *h, gl_stream *stream) {
  sock *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->linger.fire = on_linger;
  s->host = h;
  s->stream = stream;
  s->refs = 2;
  stream->owner = s;
  return s;
}

/* ---- waiting: every op of a socket keeps it ---- */

typedef struct sock_op {
  gl_op op;
  sock *s;
  gl_op **slot;
  size_t max;
} sock_op;

static void cancel_sock(gl_op *op) {
  *((sock_op *)op)->slot = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_sock(gl_op *op) { unref(((sock_op *)op)->s); }

static sock_op *wait_on(lua_State *L, const gl_optype *type, sock *s, gl_op **slot) {
  sock_op *op = gl_op_new(L, type, sizeof *op, 0);
  op->s = s;
  op->slot = slot;
  s->refs++;
  *slot = &op->op;
  return op;
}

/* ---- connect ---- */

static int push_connect(lua_State *L, gl_op *op) {
  sock *s = ((sock_op *)op)->s;
  s->connector = NULL;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, s->peer);
  *push_handle(L) = s;
  s->refs++;
  return 1;
}

/* A connect that is given up, or whose result nobody took, must not leave a connection behind. */
static void free_connect(gl_op *op) {
  sock *s = ((sock_op *)op)->s;
  if (s->refs == 2 && s->stream) gl_stream_close(s->stream);
  unref(s);
}

static void cancel_connect(gl_op *op) {
  sock *s = ((sock_op *)op)->s;
  if (s->stream) gl_stream_close(s->stream); /* on_connect comes with UV_ECANCELED */
}

static const gl_optype connect_type = {"net.connect", push_connect, cancel_connect, free_connect};

static void on_connect(uv_connect_t *req, int status) {
  sock *s = GL_CONTAINER(req, sock, connect);
  if (status == 0 && s->stream && !s->stream->closing) {
    if (s->stream->uv.handle.type == UV_TCP) uv_tcp_nodelay(&s->stream->uv.tcp, 1);
    status = gl_stream_read(s->stream);
  }
  wake(s->connector, status);
}

/* An unconnected socket, before the op that will keep it exists. */
static sock *sock_open(lua_State *L, int family) {
  gl_stream *stream = gl_stream_new(gl_host_of(L), family, &sock_user, NULL);
  sock *s = stream ? sock_new(gl_host_of(L), stream) : NULL;
  if (!s && stream) gl_stream_close(stream);
  return s;
}

/* connect(address [, timeout]) -> socket */
static int net_connect(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  double timeout = gl_check_timeout(L, 2, 30);
  gl_address address;
  const char *wrong = gl_address_parse(text, len, &address);
  if (wrong) return gl_error_raise(L, "net.connect", "EINVAL", "%s: %s", text, wrong);
  sock **guard = push_handle(L); /* closes the socket should anything below raise */
  sock *s = *guard = sock_open(L, address.family);
  if (!s) return gl_error_status(L, "net.connect", UV_ENOMEM, text);
  memcpy(s->peer, text, len + 1); /* it fits: it is an address */
  sock_op *op = wait_on(L, &connect_type, s, &s->connector);
  *guard = NULL; /* from here on the op keeps it, in the guard's place */
  s->refs--;
  int err = 0;
  if (address.family == AF_UNIX) uv_pipe_connect(&s->connect, &s->stream->uv.pipe, address.path, on_connect);
  else err = uv_tcp_connect(&s->connect, &s->stream->uv.tcp, (const struct sockaddr *)&address.ip, on_connect);
  if (err) wake(s->connector, err);
  return gl_await(L, &op->op, timeout);
}

/* ---- read and write ---- */

static int raise_for(lua_State *L, const char *name, const sock *s, int status) {
  if (s->closed) return gl_error_raise(L, name, "ECLOSED", "%s: the socket was closed", s->peer);
  return gl_error_status(L, name, status, s->peer);
}

static int push_bytes(lua_State *L, sock *s, size_t max) {
  if (s->in.len && !s->closed) {
    size_t n = s->in.len < max ? s->in.len : max;
    lua_pushlstring(L, gl_buf_at(&s->in), n);
    gl_buf_eat(&s->in, n);
    if (!s->in.len) gl_buf_free(&s->in);
    if (s->stream && s->in.len <= IN_HIGH / 2) gl_stream_read(s->stream);
    return 1;
  }
  if (s->closed || s->ended != UV_EOF) return raise_for(L, "net.read", s, s->ended);
  lua_pushnil(L);
  return 1;
}

static int push_read(lua_State *L, gl_op *op) {
  sock *s = ((sock_op *)op)->s;
  s->reader = NULL;
  return push_bytes(L, s, ((sock_op *)op)->max);
}

static const gl_optype read_type = {"net.read", push_read, cancel_sock, free_sock};

/* socket:read([max [, timeout]]) -> bytes, or nil at the end */
static int sock_read(lua_State *L) {
  sock *s = check_sock(L);
  lua_Integer max = luaL_optinteger(L, 2, 65536);
  luaL_argcheck(L, max > 0, 2, "a number of bytes > 0 expected");
  double timeout = gl_check_timeout(L, 3, 30);
  if (s->reader) return gl_error_raise(L, "net.read", "EBUSY", "%s: another task is reading from this socket", s->peer);
  if (s->in.len || s->ended || s->closed) return push_bytes(L, s, (size_t)max);
  sock_op *op = wait_on(L, &read_type, s, &s->reader);
  op->max = (size_t)max;
  return gl_await(L, &op->op, timeout);
}

static int push_write(lua_State *L, gl_op *op) {
  sock *s = ((sock_op *)op)->s;
  s->writer = NULL;
  if (op->status < 0) return raise_for(L, "net.write", s, op->status);
  return 0;
}

static const gl_optype write_type = {"net.write", push_write, cancel_sock, free_sock};

/* socket:write(bytes [, timeout]) returns when the peer keeps up */
static int sock_write(lua_State *L) {
  sock *s = check_sock(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  double timeout = gl_check_timeout(L, 3, 30);
  gl_stream *stream = s->stream;
  if (s->closed || !stream || stream->closing || stream->broken || stream->finish || stream->shut) return raise_for(L, "net.write", s, UV_EPIPE);
  if (s->writer) return gl_error_raise(L, "net.write", "EBUSY", "%s: another task is writing to this socket", s->peer);
  gl_stream_write(stream, bytes, n);
  if (!gl_stream_full(stream)) return 0;
  sock_op *op = wait_on(L, &write_type, s, &s->writer);
  return gl_await(L, &op->op, timeout);
}

/* socket:shutdown(): the peer reads the end; this side may go on reading */
static int sock_shutdown(lua_State *L) {
  sock *s = check_sock(L);
  if (s->stream && !s->closed) gl_stream_finish(s->stream, true);
  return 0;
}

/* What was written still leaves, for a while; who waits is woken. */
static void close_gently(sock *s) {
  if (s->closed) return;
  s->closed = true;
  if (!s->stream) return;
  s->host->holds++; /* the script may end before its output left */
  if (gl_timer_arm(&s->host->clock, &s->linger, LINGER_SECONDS)) gl_stream_finish(s->stream, false);
  else gl_stream_close(s->stream);
  wake(s->reader, UV_ECANCELED);
  wake(s->writer, UV_ECANCELED);
}

static int sock_close(lua_State *L) {
  close_gently(check_sock(L));
  return 0;
}

static int sock_gc(lua_State *L) {
  sock **handle = luaL_checkudata(L, 1, SOCKET);
  sock *s = *handle;
  if (!s) return 0;
  *handle = NULL;
  bool over = s->host->stop || s->host->census.tasks == 0; /* nobody drives the loop any more */
  close_gently(s);
  if (s->stream && over) gl_stream_close(s->stream);
  unref(s);
  return 0;
}

/* ---- listening ---- */

typedef struct acceptor {
  gl_listener *listener; /* NULL once closed */
  sock *first, **last;   /* accepted, not asked for */
  int waiting;           /* how many those are */
  gl_op *op;             /* waits for one, until it was taken */
  uint32_t refs;         /* the handle, the listener, the op */
  char address[GL_ADDRESS_MAX]; /* for messages */
} acceptor;

static void acceptor_unref(acceptor *a) {
  if (--a->refs == 0) free(a);
}

static void name_peer(sock *s, const acceptor *a) {
  struct sockaddr_storage sa;
  int len = sizeof sa;
  if (s->stream->uv.handle.type == UV_TCP && uv_tcp_getpeername(&s->stream->uv.tcp, (struct sockaddr *)&sa, &len) == 0)
    gl_address_text((struct sockaddr *)&sa, s->peer);
  else memcpy(s->peer, a->address, sizeof s->peer);
}

static void on_accepted(gl_listener *l, gl_stream *stream) {
  acceptor *a = l->owner;
  sock *s = a->waiting < BACKLOG_MAX ? sock_new(l->host, stream) : NULL;
  if (!s) {
    gl_stream_close(stream);
    return;
  }
  name_peer(s, a);
  *a->last = s;
  a->last = &s->next;
  a->waiting++;
  wake(a->op, 0);
}

static void on_listener_closed(gl_listener *l) { acceptor_unref(l->owner); }

static const gl_listener_user listener_user = {&sock_user, on_accepted, on_listener_closed};

static acceptor *check_acceptor(lua_State *L) { return *(acceptor **)luaL_checkudata(L, 1, LISTENER); }

static int push_accepted(lua_State *L, acceptor *a) {
  if (!a->first) return gl_error_raise(L, "net.accept", "ECLOSED", "%s: the listener was closed", a->address);
  sock **handle = push_handle(L); /* may raise: the socket is still queued then */
  sock *s = a->first;
  if (!(a->first = s->next)) a->last = &a->first;
  a->waiting--;
  *handle = s;
  if (s->stream) gl_stream_read(s->stream);
  return 1;
}

typedef struct accept_op {
  gl_op op;
  acceptor *a;
} accept_op;

static int push_accept(lua_State *L, gl_op *op) {
  acceptor *a = ((accept_op *)op)->a;
  a->op = NULL;
  return push_accepted(L, a);
}

static void cancel_accept(gl_op *op) {
  ((accept_op *)op)->a->op = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_accept(gl_op *op) { acceptor_unref(((accept_op *)op)->a); }

static const gl_optype accept_type = {"net.accept", push_accept, cancel_accept, free_accept};

/* listener:accept([timeout]) -> socket */
static int listener_accept(lua_State *L) {
  acceptor *a = check_acceptor(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (a->op) return gl_error_raise(L, "net.accept", "EBUSY", "%s: another task is accepting here", a->address);
  if (a->first || !a->listener) return push_accepted(L, a);
  accept_op *op = gl_op_new(L, &accept_type, sizeof *op, 0);
  op->a = a;
  a->refs++;
  a->op = &op->op;
  return gl_await(L, &op->op, timeout);
}

static void acceptor_close(acceptor *a) {
  if (a->listener) gl_listener_close(a->listener);
  a->listener = NULL;
  for (sock *s = a->first, *next; s; s = next) {
    next = s->next;
    if (s->stream) gl_stream_close(s->stream);
    unref(s);
  }
  a->first = NULL;
  a->last = &a->first;
  a->waiting = 0;
  wake(a->op, 0);
}

static int listener_close(lua_State *L) {
  acceptor_close(check_acceptor(L));
  return 0;
}

static int listener_address(lua_State *L) {
  lua_pushstring(L, check_acceptor(L)->address);
  return 1;
}

static int listener_gc(lua_State *L) {
  acceptor **handle = luaL_checkudata(L, 1, LISTENER);
  acceptor *a = *handle;
  if (!a) return 0;
  *handle = NULL;
  acceptor_close(a);
  acceptor_unref(a);
  return 0;
}

static int net_listen(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  gl_address address;
  const char *wrong = gl_address_parse(text, len, &address);
  if (wrong) return gl_error_raise(L, "net.listen", "EINVAL", "%s: %s", text, wrong);
  acceptor **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, LISTENER);
  acceptor *a = calloc(1, sizeof *a);
  if (!a) return luaL_error(L, "not enough memory");
  *handle = a;
  a->refs = 2; /* the listener gives its own back when it is closed, also after an error */
  a->last = &a->first;
  int err = gl_listener_open(gl_host_of(L), &address, &listener_user, a, &a->listener);
  if (err) return gl_error_status(L, "net.listen", err, text);
  memcpy(a->address, a->listener->text, sizeof a->address);
  return 1;
}

/* ---- the module ---- */

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}

int gl_open_net(lua_State *L) {
  static const luaL_Reg socket[] = {{"read", sock_read}, {"write", sock_write}, {"shutdown", sock_shutdown}, {"close", sock_close}, {NULL, NULL}};
  static const luaL_Reg listener[] = {{"accept", listener_accept}, {"close", listener_close}, {"address", listener_address}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"connect", net_connect}, {"listen", net_listen}, {NULL, NULL}};
  new_class(L, SOCKET, socket, sock_gc, sock_close);
  new_class(L, LISTENER, listener, listener_gc, listener_close);
  luaL_newlib(L, functions);
  return 1;
}
