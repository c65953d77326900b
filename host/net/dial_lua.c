/* SPDX-License-Identifier: MIT */
#include "net/dial_lua.h"

#include <stdio.h>
#include <string.h>

#include "core/args.h"
#include "core/error.h"
#include "net/dial.h"
#include "net/lookup_lua.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/tls_lua.h"

#define OP "net.connect"

/* A connect: dialling, then the TLS handshake. */
typedef struct connect_op {
  gl_op op;
  gl_dial *dial;               /* NULL once dialling has ended */
  gl_socket *s;                /* the socket that dialling made; NULL: not yet */
  gl_tls_config *tls;          /* referenced; NULL: without TLS */
  double tls_timeout;          /* seconds for the handshake */
  bool taken;                  /* the script has the socket */
  char text[GL_PEER_MAX];      /* the address as the script wrote it */
  char failed[GL_ADDRESS_MAX]; /* the address that refused, if the script's text is not it; "" = none */
  char name[GL_HOST_MAX];      /* the name that the server must prove; "" = none */
} connect_op;

static int raise_connect(lua_State *L, const connect_op *c) {
  int status = c->op.status;
  if (c->s) return gl_socket_raise(L, OP, c->s, status);
  if (gl_resolve_failed(status)) return gl_resolve_raise(L, OP, status, c->text);
  if (!*c->failed) return gl_address_raise(L, OP, status, c->text);
  return gl_error_status(L, OP, status, lua_pushfstring(L, "%s (%s)", c->text, c->failed));
}

static int push_connect(lua_State *L, gl_op *op) {
  connect_op *c = (connect_op *)op;
  if (op->status < 0) return raise_connect(L, c);
  *gl_socket_push(L) = c->s;
  c->s->refs++;
  c->taken = true;
  return 1;
}

/* Closes the connection of a connect that was given up, or whose result the task did not take: no script has a handle to close it. */
static void free_connect(gl_op *op) {
  connect_op *c = (connect_op *)op;
  gl_tls_config_unref(c->tls);
  if (!c->s) return;
  if (c->s->securer == op) c->s->securer = NULL;
  if (!c->taken && c->s->stream) gl_stream_close(c->s->stream);
  gl_socket_unref(c->s);
}

static void cancel_connect(gl_op *op) {
  connect_op *c = (connect_op *)op;
  if (c->dial) gl_dial_cancel(c->dial);
  c->dial = NULL;
  if (c->s) c->s->securer = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void object_connect(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const connect_op *)op)->text); }

static const gl_optype connect_type = {OP, push_connect, cancel_connect, free_connect, object_connect};

static void secure(connect_op *c, gl_stream *stream) {
  gl_tls_start start = {.config = c->tls, .name = c->name, .timeout = c->tls_timeout, .ready = gl_socket_secured};
  c->s->securer = &c->op;
  if (!gl_tls_begin(stream, &start)) gl_socket_wake(&c->op, UV_ENOMEM);
}

static void on_dialled(void *owner, gl_stream *stream, int status, const gl_address *failed) {
  connect_op *c = owner;
  c->dial = NULL;
  if (failed && failed->family != AF_UNIX) gl_address_text((const struct sockaddr *)&failed->ip, c->failed);
  if (strcmp(c->failed, c->text) == 0) *c->failed = 0;
  if (stream && !(c->s = gl_socket_new(c->op.host, stream))) {
    gl_stream_close(stream);
    status = UV_ENOMEM;
  }
  if (!c->s) {
    gl_op_done(&c->op, status);
    return;
  }
  memcpy(c->s->peer, c->text, sizeof c->text);
  if (c->tls) secure(c, stream);
  else gl_op_done(&c->op, gl_stream_read(stream));
}

/* ---- the address ---- */

static void refuse(lua_State *L, const char *text, const char *wrong) { gl_error_raise(L, OP, "EINVAL", "%s: %s", text, wrong); }

/* Reads host = { "::1", "127.0.0.1" }, addresses to try in this order; returns their number. */
static unsigned read_list(lua_State *L, int list, int port, gl_address out[GL_DIAL_MAX]) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, list);
  luaL_argcheck(L, n <= GL_DIAL_MAX, 1, "host: a list of 16 addresses at most expected");
  for (lua_Integer i = 0; i < n; i++) {
    const char *host = lua_rawgeti(L, list, i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
    if (!gl_address_number(host, port, &out[i])) refuse(L, host, "not an IP address (a list of hosts is one of addresses)");
    lua_pop(L, 1);
  }
  return (unsigned)n;
}

/* Reads the address `text` into `to`, whose pointers lead into `host` and `addresses`. Raises EINVAL. */
static void read_target(lua_State *L, const char *text, size_t len, gl_dial_to *to, char host[GL_HOST_MAX], gl_address addresses[GL_DIAL_MAX]) {
  const char *wrong = strlen(text) != len ? "an address has no NUL" : NULL;
  *host = 0;
  to->addresses = addresses;
  if (!wrong && strncmp(text, "unix:", 5) == 0) wrong = gl_address_parse(text, len, &addresses[to->n++]);
  else if (!wrong) wrong = gl_address_split(text, host, &to->port);
  if (wrong) refuse(L, text, wrong);
  if (to->n) return;
  if (lua_istable(L, 2) && lua_getfield(L, 2, "host") == LUA_TTABLE) {
    to->n = read_list(L, lua_gettop(L), to->port, addresses);
    *host = 0;
    return;
  }
  to->host = host;
  if (gl_address_number(host, to->port, &addresses[0])) to->n = 1;
  else if (*text == '[') refuse(L, text, "not an IPv6 address");
}

/* Returns the name that the server must prove: option server_name, or else the host. Raises if a certificate is to be checked and there
 * is no name. */
static const char *check_name(lua_State *L, int tls, const char *host, const gl_tls_config *config) {
  const char *name = gl_args_string(L, tls, "server_name");
  if (!name) name = host;
  luaL_argcheck(L, strlen(name) < GL_HOST_MAX, 2, "tls: server_name: too long");
  luaL_argcheck(L, *name || !config->verify, 2, "tls: server_name: expected, for the certificate to be checked against");
  return name;
}

int gl_net_connect(lua_State *L) {
  static const char *const names[] = {"address", "family", "host", "path", "port", "timeout", "tls", NULL};
  double timeout = 30, tls_timeout = GL_FOREVER;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    timeout = gl_check_timeout(L, 2, timeout);
    lua_settop(L, 1);
  }
  size_t len;
  const char *text = gl_args_target(L, names, true, &len), *name = "";
  char host[GL_HOST_MAX];
  gl_address addresses[GL_DIAL_MAX] = {0};
  gl_dial_to to = {.user = &gl_socket_user};
  timeout = gl_args_timeout(L, 2, timeout);
  to.family = gl_args_family(L, 2);
  read_target(L, text, len, &to, host, addresses);
  int handle = 0;
  if (lua_istable(L, 2) && lua_getfield(L, 2, "tls") != LUA_TNIL && lua_toboolean(L, -1)) {
    int tls = lua_gettop(L);
    gl_tls_config *config = gl_tls_check(L, tls, OP, false);
    handle = lua_gettop(L);
    name = check_name(L, tls, host, config);
    tls_timeout = gl_args_timeout(L, tls, GL_FOREVER);
  }
  connect_op *c = gl_op_new(L, &connect_type, sizeof *c, 0);
  snprintf(c->text, sizeof c->text, "%s", text);
  strcpy(c->name, name);
  c->tls = handle ? gl_tls_take(L, handle) : NULL;
  c->tls_timeout = tls_timeout;
  if (!gl_dial_start(c->op.host, &to, on_dialled, c, &c->dial)) gl_op_done(&c->op, UV_ENOMEM);
  return gl_await(L, &c->op, timeout);
}
