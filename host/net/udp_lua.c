/* SPDX-License-Identifier: MIT */
#include "net/udp_lua.h"

#include <stdio.h>

#include "core/args.h"
#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "net/udp.h"

#define UDP "green.udp"
#define LONGEST_V4 65507 /* bytes of a datagram, at most: 65535 without the headers of IP and UDP */
#define LONGEST_V6 65527 /* the same for IPv6, whose own header does not count */

static gl_udp *check_udp(lua_State *L) { return gl_class_check(L, 1, UDP); }

/* Returns the address by which errors name the socket. */
static const char *name_of(const gl_udp *u) { return *u->peer ? u->peer : u->address; }

static int raise_udp(lua_State *L, const char *op, const gl_udp *u, int status) {
  if (u->closed) return gl_error_raise(L, op, "ECLOSED", "%s: the socket was closed", u->address);
  return gl_error_status(L, op, status, name_of(u));
}

/* ---- receiving ---- */

static int push_datagram(lua_State *L, gl_udp *u, const char *op, bool from) {
  char text[GL_ADDRESS_MAX];
  const gl_datagram *d = u->first;
  int n = 1, err = u->error;
  if (u->closed) return raise_udp(L, op, u, UV_ECANCELED);
  if (!d) {
    u->error = 0;
    return raise_udp(L, op, u, err);
  }
  luaL_checkstack(L, 3, op);
  lua_pushlstring(L, d->bytes, d->n);
  if (from) {
    gl_address_text((const struct sockaddr *)&d->from, text);
    lua_pushstring(L, text);
    n++;
  }
  if (d->cut) {
    lua_pushboolean(L, true);
    n++;
  }
  gl_udp_shift(u);
  return n;
}

typedef struct receive_op {
  gl_op op;
  gl_udp *u;
  bool from;
} receive_op;

static int push_receive(lua_State *L, gl_op *op) {
  receive_op *r = (receive_op *)op;
  r->u->reader = NULL;
  return push_datagram(L, r->u, op->type->name, r->from);
}

static void cancel_receive(gl_op *op) {
  ((receive_op *)op)->u->reader = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_receive(gl_op *op) { gl_udp_unref(((receive_op *)op)->u); }

static void object_receive(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", name_of(((const receive_op *)op)->u)); }

static const gl_optype receive_type = {"net.receive", push_receive, cancel_receive, free_receive, object_receive};
static const gl_optype receive_from_type = {"net.receive_from", push_receive, cancel_receive, free_receive, object_receive};

static int await_datagram(lua_State *L, const gl_optype *type, bool from) {
  gl_udp *u = check_udp(L);
  double timeout = gl_check_timeout(L, 2, 30);
  gl_op_refuse_finalizer(L, type);
  if (u->reader) return gl_error_raise(L, type->name, "EBUSY", "%s: another task is receiving here", u->address);
  if (u->first || u->error || u->closed) return push_datagram(L, u, type->name, from);
  receive_op *op = gl_op_new(L, type, sizeof *op, 0);
  op->u = u;
  op->from = from;
  u->refs++;
  u->reader = &op->op;
  return gl_await(L, &op->op, timeout);
}

/* udp:receive([timeout]) -> bytes [, true if they were cut] */
static int udp_receive(lua_State *L) { return await_datagram(L, &receive_type, false); }

/* udp:receive_from([timeout]) -> bytes, address [, true if they were cut] */
static int udp_receive_from(lua_State *L) { return await_datagram(L, &receive_from_type, true); }

/* ---- sending ---- */

typedef struct send_op {
  gl_op op;
  uv_udp_send_t req;
  gl_udp *u;
} send_op;

static int push_send(lua_State *L, gl_op *op) {
  if (op->status < 0) return raise_udp(L, op->type->name, ((send_op *)op)->u, op->status);
  return 0;
}

static void free_send(gl_op *op) { gl_udp_unref(((send_op *)op)->u); }

static void object_send(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", name_of(((const send_op *)op)->u)); }

/* Sends have no cancel, since libuv does not take back a datagram that it has queued; the op keeps the bytes until libuv is done. */
static const gl_optype send_type = {"net.send", push_send, NULL, free_send, object_send};
static const gl_optype send_to_type = {"net.send_to", push_send, NULL, free_send, object_send};

static void on_sent(uv_udp_send_t *req, int status) { gl_op_done(&GL_CONTAINER(req, send_op, req)->op, status); }

static int send_bytes(lua_State *L, const gl_optype *type, gl_udp *u, const struct sockaddr *to, double timeout) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  int longest = u->family == AF_INET6 ? LONGEST_V6 : LONGEST_V4;
  if (u->closed) return raise_udp(L, type->name, u, UV_ECANCELED);
  if (n > (size_t)longest)
    return gl_error_raise(L, type->name, "EMSGSIZE", "%s: a datagram of %I bytes is too long (%d at most)", u->address, (LUAI_UACINT)n, longest);
  uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)n);
  int err = uv_udp_try_send(&u->uv, &buf, 1, to);
  if (err >= 0) return 0;
  if (err != UV_EAGAIN) return raise_udp(L, type->name, u, err);
  send_op *op = gl_op_new(L, type, sizeof *op, 2);
  op->u = u;
  u->refs++;
  err = uv_udp_send(&op->req, &u->uv, &buf, 1, to, on_sent);
  if (err) gl_op_done(&op->op, err);
  return gl_await(L, &op->op, timeout);
}

/* udp:send(bytes [, timeout]) */
static int udp_send(lua_State *L) { return send_bytes(L, &send_type, check_udp(L), NULL, gl_check_timeout(L, 3, 30)); }

static void check_address(lua_State *L, int idx, const char *op, int family, gl_address *out) {
  size_t len;
  const char *text = luaL_checklstring(L, idx, &len), *wrong = gl_address_parse(text, len, out);
  if (!wrong && out->family == AF_UNIX) wrong = "no IP address";
  if (!wrong && family != AF_UNSPEC && family != out->family) wrong = "not of the socket's family";
  if (wrong) gl_error_raise(L, op, "EINVAL", "%s: %s", text, wrong);
}

/* udp:send_to(bytes, address [, timeout]) */
static int udp_send_to(lua_State *L) {
  gl_udp *u = check_udp(L);
  gl_address to;
  double timeout = gl_check_timeout(L, 4, 30);
  luaL_checkstring(L, 2);
  check_address(L, 3, "net.send_to", u->family, &to);
  return send_bytes(L, &send_to_type, u, (const struct sockaddr *)&to.ip, timeout);
}

/* ---- the other methods ---- */

/* udp:connect(address): from then on only datagrams from that address arrive, and send needs no address. A connected socket cannot be
 * connected again: Linux would take its port away when it is disconnected. */
static int udp_connect(lua_State *L) {
  gl_udp *u = check_udp(L);
  gl_address to;
  check_address(L, 2, "net.udp", u->family, &to);
  if (u->closed) return raise_udp(L, "net.udp", u, UV_ECANCELED);
  int err = gl_udp_connect(u, &to);
  return err ? gl_error_status(L, "net.udp", err, lua_tostring(L, 2)) : 0;
}

static int membership(lua_State *L, uv_membership what) {
  gl_udp *u = check_udp(L);
  const char *group = luaL_checkstring(L, 2), *interface = luaL_optstring(L, 3, NULL);
  if (u->closed) return raise_udp(L, "net.udp", u, UV_ECANCELED);
  int err = uv_udp_set_membership(&u->uv, group, interface, what);
  if (err) return gl_error_status(L, "net.udp", err, group);
  return 0;
}

/* udp:join(group [, interface]), udp:leave(group [, interface]): multicast */
static int udp_join(lua_State *L) { return membership(L, UV_JOIN_GROUP); }
static int udp_leave(lua_State *L) { return membership(L, UV_LEAVE_GROUP); }

static int udp_address(lua_State *L) {
  lua_pushstring(L, check_udp(L)->address);
  return 1;
}

static int udp_peer(lua_State *L) {
  const gl_udp *u = check_udp(L);
  if (*u->peer) lua_pushstring(L, u->peer);
  else lua_pushnil(L);
  return 1;
}

static int udp_close(lua_State *L) {
  gl_udp *u = *(gl_udp **)gl_class_self(L, UDP);
  if (u) gl_udp_close(u);
  return 0;
}

static int udp_gc(lua_State *L) {
  gl_udp **handle = gl_class_self(L, UDP);
  gl_udp *u = *handle;
  if (!u) return 0;
  *handle = NULL;
  gl_udp_close(u);
  gl_udp_unref(u);
  return 0;
}

/* ---- net.udp ---- */

/* Sets the options that take a call of libuv each. They were checked before. Returns 0 or UV_E*. */
static int configure(lua_State *L, gl_udp *u, int idx) {
  int err = 0;
  lua_Integer ttl = gl_args_integer(L, idx, "ttl", 0, 1, 255), hops = gl_args_integer(L, idx, "multicast_ttl", 0, 0, 255);
  lua_Integer room = gl_args_integer(L, idx, "receive_buffer", 0, 1, INT32_MAX);
  const char *interface = gl_args_string(L, idx, "multicast_interface");
  int bytes = (int)room;
  if (gl_args_bool(L, idx, "broadcast", false)) err = uv_udp_set_broadcast(&u->uv, 1);
  if (!err && ttl) err = uv_udp_set_ttl(&u->uv, (int)ttl);
  if (!err && hops) err = uv_udp_set_multicast_ttl(&u->uv, (int)hops);
  if (!err && !gl_args_bool(L, idx, "multicast_loop", true)) err = uv_udp_set_multicast_loop(&u->uv, 0);
  if (!err && interface) err = uv_udp_set_multicast_interface(&u->uv, interface);
  if (!err && bytes) err = uv_recv_buffer_size((uv_handle_t *)&u->uv, &bytes);
  return err;
}

/* Reads the address to bind, which is any address of the peer's family by default, and the peer's. Returns whether there is a peer. */
static bool read_addresses(lua_State *L, gl_address *at, gl_address *to) {
  bool connects = gl_args_string(L, 1, "connect") != NULL;
  if (connects) check_address(L, lua_gettop(L), "net.udp", AF_UNSPEC, to);
  if (!gl_args_string(L, 1, "bind")) lua_pushstring(L, connects && to->family == AF_INET6 ? "[::]:0" : "0.0.0.0:0");
  check_address(L, lua_gettop(L), "net.udp", connects ? to->family : AF_UNSPEC, at);
  return connects;
}

static gl_udp *push_new(lua_State *L) {
  gl_udp **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, UDP);
  *handle = gl_udp_new(gl_host_of(L));
  if (!*handle) luaL_error(L, "not enough memory");
  return *handle;
}

int gl_net_udp(lua_State *L) {
  static const char *const names[] = {"bind", "broadcast", "connect", "ipv6_only", "max", "multicast_interface", "multicast_loop",
                                      "multicast_ttl", "queue", "receive_buffer", "reuse_address", "ttl", NULL};
  gl_address at, to;
  lua_settop(L, 1);
  gl_args_check_names(L, 1, names);
  bool connects = read_addresses(L, &at, &to), shared = gl_args_bool(L, 1, "reuse_address", false);
  unsigned flags = (shared ? UV_UDP_REUSEADDR : 0) | (gl_args_bool(L, 1, "ipv6_only", false) ? UV_UDP_IPV6ONLY : 0);
  gl_udp *u = push_new(L);
  int handle = lua_gettop(L);
  u->longest = (size_t)gl_args_integer(L, 1, "max", GL_SCRATCH, 1, GL_SCRATCH);
  u->limit = (size_t)gl_args_integer(L, 1, "queue", 1024, 1, 1000000);
  int err = gl_udp_open_socket(u, &at, flags);
  if (!err) err = configure(L, u, 1);
  if (!err && connects) err = gl_udp_connect(u, &to);
  if (!err) err = gl_udp_receive(u);
  if (err) {
    gl_udp_close(u);
    return gl_error_status(L, "net.udp", err, u->address);
  }
  lua_settop(L, handle);
  return 1;
}

void gl_udp_class(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"address", udp_address}, {"close", udp_close},     {"connect", udp_connect},           {"join", udp_join}, {"leave", udp_leave},
    {"peer", udp_peer},       {"receive", udp_receive}, {"receive_from", udp_receive_from}, {"send", udp_send}, {"send_to", udp_send_to},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", udp_gc}, {"__close", udp_close}, {NULL, NULL}};
  gl_class_new(L, UDP, methods, meta);
}
