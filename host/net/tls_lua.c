/* SPDX-License-Identifier: MIT */
#include "net/tls_lua.h"

#include <string.h>

#include "core/args.h"
#include "core/class.h"
#include "core/error.h"
#include "net/socket.h"
#include "net/tls.h"

#define CONFIG "green.net.tls"
#define START "net.start_tls"
#define SESSION_TIMEOUT 7200           /* seconds */
#define SESSION_MOST (7 * 24 * 3600)   /* RFC 8446, 4.6.1 */

/* Its address is the registry key of the configuration for clients that ask for nothing special (see has_wishes). */
static const char default_client = 0;

/* ---- configurations ---- */

gl_tls_config *gl_tls_take(lua_State *L, int idx) {
  gl_tls_config **at = lua_touserdata(L, idx), *c = *at;
  if (c->shared) c->refs++;
  else *at = NULL;
  return c;
}

static int config_gc(lua_State *L) {
  gl_tls_config **at = gl_class_self(L, CONFIG);
  gl_tls_config_unref(*at);
  *at = NULL;
  return 0;
}

void gl_tls_class(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", config_gc}, {NULL, NULL}};
  gl_class_new(L, CONFIG, NULL, meta);
}

/* Pushes the protocols of option alpn in TLS's form, each after its length, or nil; `set` points to them. */
static void push_alpn(lua_State *L, int idx, gl_tls_settings *set) {
  luaL_Buffer b;
  if (lua_getfield(L, idx, "alpn") == LUA_TNIL) return;
  if (lua_type(L, -1) == LUA_TSTRING) { /* a single protocol becomes a list */
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  if (!lua_istable(L, -1)) gl_args_refuse(L, idx, "alpn: a protocol or a list of protocols expected");
  int list = lua_gettop(L);
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    size_t n = 0;
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
    if (n == 0 || n > 255) gl_args_refuse(L, idx, "alpn: names of 1 to 255 bytes expected");
    char len = (char)n;
    lua_pop(L, 1); /* the list keeps the string alive */
    luaL_addlstring(&b, &len, 1);
    luaL_addlstring(&b, name, n);
  }
  lua_pop(L, 1);
  luaL_pushresult(&b);
  set->alpn = (const unsigned char *)lua_tolstring(L, -1, &set->alpn_len);
}

static void read_identity(lua_State *L, int idx, gl_tls_settings *set) {
  set->cert = gl_args_string(L, idx, "cert");
  set->key = gl_args_string(L, idx, "key");
  if (set->key && !set->cert) gl_args_refuse(L, idx, "key: without a cert");
}

/* Returns the list of names without its first one, "server", which is an option of start_tls only. */
static const char *const *allowed(const char *const names[], const char *op) { return strcmp(op, START) == 0 ? names : names + 1; }

static void read_client(lua_State *L, int idx, const char *op, gl_tls_settings *set) {
  static const char *const names[] = {"server", "alpn", "ca", "cert", "key", "server_name", "timeout", "verify", NULL};
  gl_args_check_names(L, idx, allowed(names, op));
  read_identity(L, idx, set);
  set->ca = gl_args_string(L, idx, "ca");
  set->verify = gl_args_bool(L, idx, "verify", true);
  push_alpn(L, idx, set);
}

static void read_server(lua_State *L, int idx, const char *op, gl_tls_settings *set) {
  static const char *const names[] = {"server", "alpn", "cert", "client_ca", "key", "session_timeout", "sni", "timeout", "verify_client", NULL};
  gl_args_check_names(L, idx, allowed(names, op));
  set->session_timeout = (long)gl_args_integer(L, idx, "session_timeout", SESSION_TIMEOUT, 0, SESSION_MOST);
  read_identity(L, idx, set);
  set->ca = gl_args_string(L, idx, "client_ca");
  int type = lua_getfield(L, idx, "verify_client");
  set->optional = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "optional") == 0;
  bool demanded = type == LUA_TBOOLEAN && lua_toboolean(L, -1);
  if (type != LUA_TNIL && !demanded && !set->optional) gl_args_refuse(L, idx, "verify_client: true or \"optional\" expected");
  if (type != LUA_TNIL && !set->ca) gl_args_refuse(L, idx, "verify_client: client_ca expected, too");
  push_alpn(L, idx, set);
}

/* Adds the certificates that the options at idx have under `sni`. */
static void add_names(lua_State *L, int idx, const char *op, gl_tls_config *c, const gl_tls_settings *set) {
  static const char *const fields[] = {"cert", "key", NULL};
  char why[GL_TLS_WHY];
  int type = lua_getfield(L, idx, "sni");
  if (type != LUA_TNIL && type != LUA_TTABLE) gl_args_refuse(L, idx, "sni: a table of names expected");
  int sni = lua_gettop(L);
  if (type == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, sni); lua_settop(L, sni + 1)) {
      gl_tls_settings one = *set;
      if (lua_type(L, sni + 1) != LUA_TSTRING || !lua_istable(L, sni + 2)) gl_args_refuse(L, idx, "sni: { [\"name\"] = { cert =, key = } } expected");
      gl_args_check_names(L, sni + 2, fields);
      read_identity(L, sni + 2, &one);
      if (!one.cert) gl_args_refuse(L, idx, "sni: each name needs a cert");
      const char *name = lua_tostring(L, sni + 1);
      if (!gl_tls_config_add_name(c, &one, name, why)) gl_error_raise(L, op, "ETLS", "tls: sni %s: %s", name, why);
    }
  if (!set->cert && !c->names) gl_args_refuse(L, idx, "a server needs a cert");
}

/* Makes a configuration of the options at idx, and of what `set` says beside them, and pushes its handle. */
static gl_tls_config *config_new(lua_State *L, int idx, const char *op, gl_tls_settings set) {
  char why[GL_TLS_WHY];
  bool server = set.server;
  set.verify = true;
  luaL_checkstack(L, 20, op);
  if (lua_istable(L, idx)) (server ? read_server : read_client)(L, idx, op, &set);
  else if (server) gl_args_refuse(L, idx, "a table with a cert expected");
  gl_tls_config **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = NULL;
  luaL_setmetatable(L, CONFIG);
  *at = gl_tls_config_new(&set, why);
  if (!*at) gl_error_raise(L, op, "ETLS", "tls: %s", why);
  int mine = lua_gettop(L);
  if (server) add_names(L, idx, op, *at, &set);
  lua_settop(L, mine);
  return *at;
}

/* Pushes the handle of the configuration for clients that ask for nothing special. There is one for all, since reading the system's
 * authorities may take long. */
static gl_tls_config *push_default(lua_State *L, const char *op) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_client) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushboolean(L, true);
    config_new(L, lua_gettop(L), op, (gl_tls_settings){0})->shared = true;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &default_client);
  }
  return *(gl_tls_config **)lua_touserdata(L, -1);
}

/* Do the options ask for something that needs a configuration of its own? */
static bool has_wishes(lua_State *L, int idx) {
  static const char *const names[] = {"alpn", "ca", "cert", "key", "verify", NULL};
  bool found = false;
  for (const char *const *name = names; lua_istable(L, idx) && *name && !found; name++) {
    found = lua_getfield(L, idx, *name) != LUA_TNIL;
    lua_pop(L, 1);
  }
  return found;
}

gl_tls_config *gl_tls_check(lua_State *L, int idx, const char *op, bool server) {
  gl_tls_settings set = {.verify = true};
  if (!lua_isboolean(L, idx) && !lua_istable(L, idx)) gl_error_misuse(L, "option 'tls': a boolean or a table expected, got %s", luaL_typename(L, idx));
  if (server) return config_new(L, idx, op, (gl_tls_settings){.server = true});
  if (lua_istable(L, idx)) read_client(L, idx, op, &set); /* raises on wrong options before authorities are read */
  gl_tls_config *usual = set.ca || !set.verify ? NULL : push_default(L, op);
  return has_wishes(L, idx) ? config_new(L, idx, op, (gl_tls_settings){.trusting = usual}) : usual;
}

gl_tls_config *gl_tls_check_http(lua_State *L, int idx, const char *op, bool h2) {
  static const char *const names[] = {"cert", "client_ca", "key", "session_timeout", "sni", "verify_client", NULL};
  static const unsigned char alpn[] = "\x02h2\x08http/1.1";
  size_t skip = h2 ? 0 : 3;
  gl_args_check_names(L, idx, names);
  return config_new(L, idx, op, (gl_tls_settings){.server = true, .alpn = alpn + skip, .alpn_len = sizeof alpn - 1 - skip});
}

/* ---- socket:tls ---- */

static void set_text(lua_State *L, const char *name, const char *text) {
  if (!text || !*text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void push_peer(lua_State *L, const gl_tls_info *info) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, info->subject);
  lua_setfield(L, -2, "subject");
  set_text(L, "issuer", info->issuer);
  set_text(L, "fingerprint", info->fingerprint);
  set_text(L, "expires", info->expires);
}

static int push_info(lua_State *L, const gl_stream *stream) {
  gl_tls_info info;
  luaL_checkstack(L, 4, "net.tls");
  gl_tls_describe(stream, &info);
  lua_createtable(L, 0, 7);
  set_text(L, "protocol", info.protocol);
  set_text(L, "cipher", info.cipher);
  set_text(L, "server_name", info.server_name);
  if (info.alpn_len) {
    lua_pushlstring(L, info.alpn, info.alpn_len);
    lua_setfield(L, -2, "alpn");
  }
  lua_pushboolean(L, info.resumed);
  lua_setfield(L, -2, "resumed");
  lua_pushboolean(L, info.verified);
  lua_setfield(L, -2, "verified");
  if (*info.fingerprint) {
    push_peer(L, &info);
    lua_setfield(L, -2, "peer");
  }
  return 1;
}

static int push_tls_of(lua_State *L, gl_socket *s) {
  if (s->closed || !s->stream || !gl_tls_secured(s->stream)) return gl_socket_raise(L, "net.tls", s, s->ended);
  return push_info(L, s->stream);
}

static int push_tls(lua_State *L, gl_op *op) {
  gl_socket *s = ((gl_socket_op *)op)->s;
  s->securer = NULL;
  return push_tls_of(L, s);
}

static const gl_optype tls_type = {"net.tls", push_tls, gl_socket_cancel, gl_socket_free, gl_socket_object};

int gl_socket_tls(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  double timeout = gl_check_timeout(L, 2, 30);
  if (s->stream && !s->stream->filter && !s->closed) return 0;
  if (s->closed || !s->stream || s->ended || gl_tls_secured(s->stream)) return push_tls_of(L, s);
  if (s->securer) return gl_error_raise(L, "net.tls", "EBUSY", "%s: another task waits for the TLS handshake", s->peer);
  return gl_await(L, &gl_socket_wait(L, &tls_type, s, &s->securer)->op, timeout);
}

/* ---- socket:start_tls ---- */

static int push_start(lua_State *L, gl_op *op) {
  gl_socket *s = ((gl_socket_op *)op)->s;
  s->securer = NULL;
  if (op->status < 0) return gl_socket_raise(L, START, s, op->status);
  return 0;
}

/* Breaks the stream: after half a handshake neither plain bytes nor TLS can go on. */
static void cancel_start(gl_op *op) {
  gl_socket *s = ((gl_socket_op *)op)->s;
  s->securer = NULL;
  if (s->stream) gl_stream_break(s->stream, UV_ECANCELED);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype start_type = {START, push_start, cancel_start, gl_socket_free, gl_socket_object};

/* Writes the host to which the script connected, "mail.test" of "mail.test:25"; "" for a unix socket. */
static void host_of(const char *peer, char host[GL_HOST_MAX]) {
  int port;
  *host = 0;
  if (strncmp(peer, "unix:", 5) != 0 && gl_address_split(peer, host, &port) != NULL) *host = 0;
}

static void check_ready(lua_State *L, const gl_socket *s) {
  const gl_stream *stream = s->stream;
  if (s->closed || !stream || stream->closing || stream->broken || stream->after_output || stream->shut) gl_socket_raise(L, START, s, UV_EPIPE);
  if (s->ended) gl_socket_raise(L, START, s, s->ended);
  if (stream->filter) gl_error_raise(L, START, "EINVAL", "%s: it has TLS already", s->peer);
  if (s->reader || s->writer) gl_error_raise(L, START, "EBUSY", "%s: another task is reading or writing here", s->peer);
}

int gl_socket_start_tls(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  char host[GL_HOST_MAX];
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  bool server = gl_args_bool(L, 2, "server", false);
  gl_tls_start start = {.timeout = gl_args_timeout(L, 2, GL_TLS_TIMEOUT), .ready = gl_socket_secured};
  start.config = gl_tls_check(L, 2, START, server);
  int handle = lua_gettop(L);
  if (!server && !(start.name = gl_args_string(L, 2, "server_name"))) {
    host_of(s->peer, host);
    start.name = host;
  }
  if (!server && !*start.name && start.config->verify) return luaL_argerror(L, 2, "server_name: expected, for the certificate to be checked against");
  check_ready(L, s);
  gl_op *op = &gl_socket_wait(L, &start_type, s, &s->securer)->op;
  gl_buf early = s->in; /* bytes that came in the clear go to the handshake: the script must not take them for secured ones */
  s->in = (gl_buf){0};
  start.received = gl_buf_at(&early);
  start.received_len = early.len;
  if (!gl_tls_begin(s->stream, &start)) gl_socket_wake(op, UV_ENOMEM);
  gl_buf_free(&early);
  gl_tls_config_unref(gl_tls_take(L, handle)); /* the stream has a reference of its own */
  return gl_await(L, op, GL_FOREVER);
}
