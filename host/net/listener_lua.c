/* SPDX-License-Identifier: MIT */
#include "net/listener_lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/args.h"
#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/tls_lua.h"

#define LISTENER "green.listener"
#define BACKLOG_MAX 1024 /* accepted connections, at most, that wait for a task; further ones wait in the kernel's queue */

typedef struct acceptor {
  gl_listener *listener; /* NULL once the listener is closed */
  gl_socket *first, **last; /* the queue of accepted connections that no task has taken */
  int waiting;           /* sockets in the queue */
  gl_op *op;             /* waits for a connection; stays here until its task has taken the result */
  gl_tls_config *tls;    /* referenced; NULL: without TLS */
  double tls_timeout;    /* seconds for a handshake */
  uint32_t refs;         /* held by the handle, by the listener and by the op */
  char address[GL_ADDRESS_MAX]; /* for messages */
} acceptor;

static void acceptor_unref(acceptor *a) {
  if (--a->refs > 0) return;
  gl_tls_config_unref(a->tls);
  free(a);
}

static void name_peer(gl_socket *s, const acceptor *a) {
  struct sockaddr_storage sa;
  int len = sizeof sa;
  if (s->stream->uv.handle.type == UV_TCP && uv_tcp_getpeername(&s->stream->uv.tcp, (struct sockaddr *)&sa, &len) == 0)
    gl_address_text((struct sockaddr *)&sa, s->peer);
  else memcpy(s->peer, a->address, sizeof a->address);
}

/* Begins the handshake of an accepted connection, before a task takes the connection, so that a slow handshake delays no other. False: out
 * of memory. */
static bool secure(const acceptor *a, gl_stream *stream) {
  gl_tls_start start = {.config = a->tls, .timeout = a->tls_timeout, .ready = gl_socket_secured};
  return !a->tls || gl_tls_begin(stream, &start);
}

static void on_accepted(gl_listener *l, gl_stream *stream) {
  acceptor *a = l->owner;
  gl_socket *s = gl_socket_new(l->host, stream);
  if (s) name_peer(s, a);
  if (!s || !secure(a, stream)) {
    gl_listener_complain(l, "not enough memory for a connection: it was closed");
    gl_stream_close(stream);
    if (s) gl_socket_unref(s);
    return;
  }
  *a->last = s;
  a->last = &s->next;
  if (++a->waiting >= BACKLOG_MAX) gl_listener_hold(l);
  gl_socket_wake(a->op, 0);
}

static void on_listener_closed(gl_listener *l) { acceptor_unref(l->owner); }

static const gl_listener_user listener_user = {&gl_socket_user, on_accepted, on_listener_closed};

static acceptor *check_acceptor(lua_State *L) { return gl_class_check(L, 1, LISTENER); }

static int push_accepted(lua_State *L, acceptor *a) {
  gl_socket **handle = a->first ? gl_socket_push(L) : NULL; /* may raise: the socket stays queued; may run a finalizer that closes */
  if (!a->first) return gl_error_raise(L, "net.accept", "ECLOSED", "%s: the listener was closed", a->address);
  gl_socket *s = a->first;
  if (!(a->first = s->next)) a->last = &a->first;
  if (--a->waiting < BACKLOG_MAX && a->listener) gl_listener_resume(a->listener);
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

static void object_accept(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const accept_op *)op)->a->address); }

static const gl_optype accept_type = {"net.accept", push_accept, cancel_accept, free_accept, object_accept};

/* listener:accept([timeout]) -> socket */
static int listener_accept(lua_State *L) {
  acceptor *a = check_acceptor(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  gl_op_refuse_finalizer(L, &accept_type);
  if (a->op) return gl_error_raise(L, "net.accept", "EBUSY", "%s: another task is accepting here", a->address);
  if (a->first || !a->listener) return push_accepted(L, a);
  accept_op *op = gl_op_new(L, &accept_type, sizeof *op, 0);
  op->a = a;
  a->refs++;
  a->op = &op->op;
  return gl_await(L, &op->op, timeout);
}

static void acceptor_close(acceptor *a) {
  if (a->listener) gl_listener_close(a->listener, false);
  a->listener = NULL;
  for (gl_socket *s = a->first, *next; s; s = next) {
    next = s->next;
    if (s->stream) gl_stream_close(s->stream);
    gl_socket_unref(s);
  }
  a->first = NULL;
  a->last = &a->first;
  a->waiting = 0;
  gl_socket_wake(a->op, 0);
}

static int listener_close(lua_State *L) {
  acceptor *a = *(acceptor **)gl_class_self(L, LISTENER);
  if (a) acceptor_close(a);
  return 0;
}

static int listener_address(lua_State *L) {
  lua_pushstring(L, check_acceptor(L)->address);
  return 1;
}

static int listener_gc(lua_State *L) {
  acceptor **handle = gl_class_self(L, LISTENER);
  acceptor *a = *handle;
  if (!a) return 0;
  *handle = NULL;
  acceptor_close(a);
  acceptor_unref(a);
  return 0;
}

/* Makes the TLS options at idx those of connections that are accepted from now on. Raises on wrong options, and changes nothing then. */
static void set_tls(lua_State *L, int idx, acceptor *a) {
  double timeout = gl_args_timeout(L, idx, GL_TLS_TIMEOUT);
  gl_tls_check(L, idx, "net.listen", true);
  gl_tls_config_unref(a->tls);
  a->tls = gl_tls_take(L, -1);
  a->tls_timeout = timeout;
}

/* listener:set_tls(options): new TLS options, such as a renewed certificate; connections that exist keep theirs */
static int listener_set_tls(lua_State *L) {
  acceptor *a = check_acceptor(L);
  set_tls(L, 2, a);
  return 0;
}

int gl_net_listen(lua_State *L) {
  static const char *const names[] = {"address", "host", "mode", "path", "port", "tls", NULL};
  size_t len;
  const char *text = gl_args_target(L, names, false, &len);
  gl_address address;
  const char *wrong = gl_address_parse(text, len, &address);
  if (wrong) return gl_error_raise(L, "net.listen", "EINVAL", "%s: %s", text, wrong);
  lua_Integer mode = gl_args_mode(L, 2, 1, 0777);
  luaL_argcheck(L, mode < 0 || address.family == AF_UNIX, 2, "mode: only a unix socket has one");
  address.mode = mode < 0 ? 0 : (unsigned)mode;
  acceptor **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, LISTENER);
  acceptor *a = calloc(1, sizeof *a);
  if (!a) return luaL_error(L, "not enough memory");
  *handle = a;
  a->refs = 1;
  a->last = &a->first;
  if (lua_istable(L, 2) && lua_getfield(L, 2, "tls") != LUA_TNIL) set_tls(L, 4, a);
  int err = gl_listener_open(gl_host_of(L), &address, &listener_user, a, &a->listener);
  if (err) return gl_address_raise(L, "net.listen", err, text);
  a->refs++; /* the listener's, which is given up when it is closed */
  memcpy(a->address, a->listener->text, sizeof a->address);
  lua_settop(L, 3);
  return 1;
}

void gl_listener_class(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"accept", listener_accept}, {"address", listener_address}, {"close", listener_close}, {"set_tls", listener_set_tls}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", listener_gc}, {"__close", listener_close}, {NULL, NULL}};
  gl_class_new(L, LISTENER, methods, meta);
}
