/* SPDX-License-Identifier: MIT
 *
 * From an HTTP request to a WebSocket: the opening handshake (RFC 6455, 4.2), and who may ask for it. A page of
 * another site may not, unless it is named: browsers send cookies along with WebSocket requests.
 */
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "core/error.h"
#include "core/library.h"
#include "http/request.h"
#include "http/server.h"
#include "http/websocket.h"

static int refuse(lua_State *L, int status, const char *why) {
  gl_error_push(L, "ws.accept", "EPROTO", "%s", why);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

typedef int (*compare)(const char *a, const char *b, size_t n);

static bool list_has(const char *value, size_t n, const char *token, compare differs) {
  size_t want = strlen(token);
  for (const char *p = value, *end = value + n; p + want <= end; p++) {
    bool starts = p == value || p[-1] == ' ' || p[-1] == ',' || p[-1] == '\t';
    bool ends = p + want == end || p[want] == ' ' || p[want] == ',' || p[want] == '\t';
    if (starts && ends && !differs(p, token, want)) return true;
  }
  return false;
}

/* Is the token in a header that is a list? Such a header may come in several lines. */
static bool has_token(const gl_req *r, const char *name, const char *token, compare differs) {
  const char *text = (const char *)&r->fields[r->nfields];
  size_t name_len = strlen(name);
  for (uint32_t i = 0; i < r->nfields; i++) {
    const gl_field *f = &r->fields[i];
    if (f->name_len != name_len || memcmp(text + f->name, name, name_len) != 0) continue;
    if (list_has(text + f->value, f->value_len, token, differs)) return true;
  }
  return false;
}

/* A key is 16 bytes in base64. */
static bool is_key(const char *key, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (n != 24 || key[22] != '=' || key[23] != '=') return false;
  for (int i = 0; i < 22; i++)
    if (!memchr(digits, key[i], sizeof digits - 1)) return false;
  return true;
}

/* Sec-WebSocket-Accept of a key: 28 characters and a 0. */
static void accept_key(const char *key, size_t n, char out[29]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  char text[24 + sizeof guid];
  memcpy(text, key, n);
  memcpy(text + n, guid, sizeof guid - 1);
  SHA1((const unsigned char *)text, n + sizeof guid - 1, digest);
  EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

/* ---- whose page may connect ---- */

static bool same_host(const gl_req *r, const char *origin, size_t n) {
  size_t host_len;
  const char *host = gl_req_header(r, "host", &host_len);
  const char *at = memmem(origin, n, "://", 3);
  if (!host || !at) return false;
  at += 3;
  return (size_t)(origin + n - at) == host_len && strncasecmp(at, host, host_len) == 0;
}

static bool is_same(lua_State *L, int idx, const char *origin, size_t n) {
  size_t len;
  const char *one = lua_tolstring(L, idx, &len);
  return one && len == n && strncasecmp(one, origin, n) == 0;
}

static bool is_listed(lua_State *L, int options, const char *origin, size_t n) {
  int type = lua_getfield(L, options, "origins");
  bool found = type == LUA_TSTRING && (strcmp(lua_tostring(L, -1), "*") == 0 || is_same(L, -1, origin, n));
  if (type != LUA_TNIL && type != LUA_TSTRING && type != LUA_TTABLE) luaL_error(L, "option 'origins' must be \"*\", an origin or a list of them");
  for (lua_Integer i = 1; type == LUA_TTABLE && !found && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    found = is_same(L, -1, origin, n);
    lua_pop(L, 1);
  }
  lua_settop(L, options);
  return found;
}

static void check_origin(lua_State *L, const gl_req *r, int options) {
  size_t n;
  const char *origin = gl_req_header(r, "origin", &n);
  if (origin && !same_host(r, origin, n) && !is_listed(L, options, origin, n)) refuse(L, 403, "a page of another site may not connect (option origins)");
}

/* ---- options ---- */

static double number_option(lua_State *L, int options, const char *name, double def) {
  lua_getfield(L, options, name);
  int ok = 1;
  double value = lua_isnil(L, -1) ? def : lua_tonumberx(L, -1, &ok);
  if (!ok || !(value > 0) || value > 1e9) luaL_error(L, "option '%s' must be a number > 0", name);
  lua_pop(L, 1);
  return value;
}

/* The first of our protocols the client offers, pushed; or nil. */
static void choose_protocol(lua_State *L, const gl_req *r, int options) {
  int type = lua_getfield(L, options, "protocols"); /* list */
  if (type != LUA_TNIL && type != LUA_TTABLE) luaL_error(L, "option 'protocols' must be a list of strings");
  if (type == LUA_TNIL) return;
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1))
    if (has_token(r, "sec-websocket-protocol", lua_tostring(L, -1), strncmp)) break;
  lua_remove(L, -2); /* protocol, or nil after the last */
}

static const char *check_request(lua_State *L, const gl_req *r, size_t *n) {
  size_t len;
  const char *version = gl_req_header(r, "sec-websocket-version", &len);
  if (r->method != HTTP_GET || r->minor < 1 || !has_token(r, "upgrade", "websocket", strncasecmp) ||
      !has_token(r, "connection", "upgrade", strncasecmp))
    refuse(L, 426, "this address speaks WebSocket");
  if (!version || len != 2 || memcmp(version, "13", 2) != 0) refuse(L, 426, "WebSocket version 13 is needed");
  const char *key = gl_req_header(r, "sec-websocket-key", n);
  if (!key || !is_key(key, *n)) refuse(L, 400, "the WebSocket key is missing or malformed");
  return key;
}

/* accept(req [, options]) -> ws. Options: max_message, max_pending (bytes), ping_interval, idle_timeout
 * (seconds), origins ("*", one, or a list), protocols (a list). */
static int ws_accept(lua_State *L) {
  gl_req *r = gl_check_request(L, 1);
  char accept[29];
  size_t n;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *key = check_request(L, r, &n);
  check_origin(L, r, 2);
  gl_ws_limits limits = {
    .max_message = (size_t)number_option(L, 2, "max_message", 1 << 20),
    .max_pending = (size_t)number_option(L, 2, "max_pending", 1 << 20),
    .ping_interval = number_option(L, 2, "ping_interval", 30),
    .idle_timeout = number_option(L, 2, "idle_timeout", 120),
  };
  lua_getfield(L, 2, "cancel_on_disconnect");
  bool said = !lua_isnil(L, -1), watch = lua_toboolean(L, -1);
  lua_pop(L, 1);
  const char *error = gl_library_need("libcrypto.so.3");
  if (error) return gl_error_raise(L, "ws.accept", "ENOLIBRARY", "WebSockets need libcrypto: %s", error);
  accept_key(key, n, accept);
  choose_protocol(L, r, 2);
  const char *protocol = lua_tostring(L, -1);
  lua_getfield(L, 1, "remote"); /* remembered: the connection will not know any more */
  lua_pop(L, 1);
  gl_ws **handle = gl_ws_handle(L);
  gl_conn *c = r->conn; /* not before: what is above may run Lua, and meanwhile the client may leave */
  if (!c || c->answered) return gl_error_raise(L, "ws.accept", "ECLOSED", "the request was answered already");
  if (!c->stream || c->stream->closing) return gl_error_status(L, "ws.accept", UV_EPIPE, "the client is gone");
  if (!c->body_done) return refuse(L, 400, "a WebSocket request has no body");
  gl_stream *s = c->stream;
  gl_ws *ws = *handle = gl_ws_new(c, &limits);
  if (!ws) return gl_error_raise(L, "ws.accept", "ENOMEM", "not enough memory");
  if (said) gl_conn_watch(c, watch);
  else gl_conn_watch_by_default(c);
  gl_stream_write(s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ", 97);
  gl_stream_write(s, accept, 28);
  if (protocol) {
    gl_stream_write(s, "\r\nSec-WebSocket-Protocol: ", 26);
    gl_stream_write(s, protocol, strlen(protocol));
  }
  gl_stream_write(s, "\r\n\r\n", 4);
  gl_ws_start(ws);
  return 1;
}

int gl_open_ws(lua_State *L) {
  static const luaL_Reg functions[] = {{"accept", ws_accept}, {NULL, NULL}};
  luaL_newlib(L, functions);
  gl_ws_metatable(L);
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "metatable");
  return 1;
}
