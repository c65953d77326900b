/* SPDX-License-Identifier: MIT
 *
 * An HTTP request becomes a WebSocket: the opening handshake (RFC 6455, 4.2), and which pages may ask for it. A page of another site
 * may not, unless an option names it: browsers send cookies along with WebSocket requests.
 */
#include <string.h>

#include "core/error.h"
#include "core/library.h"
#include "h1/fields.h"
#include "web/request.h"
#include "web/server_lua.h"
#include "web/websocket_client.h"
#include "web/websocket_lua.h"
#include "web/websocket_options.h"
#include "ws/handshake.h"

/* Raises an error whose status and message go to the client as they are. */
static int refuse(lua_State *L, int status, const char *why) {
  gl_error_push(L, "ws.accept", "EPROTO", "%s", why);
  lua_pushstring(L, why);
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

/* ---- header fields ---- */

/* Returns how many lines a field has; *value is that of the first. */
static int lines_of(const gl_request *r, const char *name, gl_text *value) {
  int n = 0;
  gl_text other;
  for (uint32_t i = 0; gl_request_next_line(r, name, &i, n ? &other : value);) n++;
  return n;
}

/* Is the word an element of a field that is a list, in one line or several? */
static bool lists(const gl_request *r, const char *name, gl_text word, bool exactly) {
  gl_text line, element;
  for (uint32_t i = 0; gl_request_next_line(r, name, &i, &line);)
    while (gl_take_element(&line, &element))
      if (gl_text_equals(element, word) && (!exactly || memcmp(element.at, word.at, gl_text_len(word)) == 0)) return true;
  return false;
}

static bool has_token(const gl_request *r, const char *name, const char *token) {
  return lists(r, name, gl_text_of(token, strlen(token)), false);
}

/* ---- whose page may connect ---- */

static bool is_same_host(const gl_request *r, const gl_origin *o) {
  size_t n;
  const char *host = gl_request_host(r, &n); /* a head with two of them was refused */
  return host && gl_origin_is_host(o, gl_text_of(host, n));
}

static bool is_same(lua_State *L, int idx, gl_text text, const gl_origin *o) {
  size_t n;
  gl_origin listed;
  const char *one = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
  if (!one) return false;
  if (gl_text_equals(gl_text_of(one, n), text)) return true;
  return o && gl_origin_read(gl_text_of(one, n), &listed) && gl_origin_is_same(&listed, o);
}

static bool is_listed(lua_State *L, int options, gl_text text, const gl_origin *o) {
  int type = lua_getfield(L, options, "origins");
  bool found = type == LUA_TSTRING && (strcmp(lua_tostring(L, -1), "*") == 0 || is_same(L, -1, text, o));
  if (type != LUA_TNIL && type != LUA_TSTRING && type != LUA_TTABLE) gl_error_misuse(L, "option 'origins' must be \"*\", an origin or a list of them");
  for (lua_Integer i = 1; type == LUA_TTABLE && !found && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    found = is_same(L, -1, text, o);
    lua_pop(L, 1);
  }
  lua_settop(L, options);
  return found;
}

static void check_origin(lua_State *L, const gl_request *r, int options) {
  gl_text text;
  gl_origin o;
  int n = lines_of(r, "origin", &text);
  if (n == 0) return;
  if (n > 1) refuse(L, 400, "there is more than one Origin");
  bool known = gl_origin_read(text, &o);
  if (known && is_same_host(r, &o)) return;
  if (!is_listed(L, options, text, known ? &o : NULL)) refuse(L, 403, "a page of another site may not connect");
}

/* ---- what is agreed on ---- */

/* Pushes the first of our protocols that the client offers, or nil. */
static void choose_protocol(lua_State *L, const gl_request *r, int options) {
  int type = lua_getfield(L, options, "protocols"); /* list */
  if (type != LUA_TNIL && type != LUA_TTABLE) gl_error_misuse(L, "option 'protocols' must be a list of strings");
  if (type == LUA_TNIL) return;
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
    size_t n;
    const char *one = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
    gl_text word = one ? gl_text_of(one, n) : (gl_text){NULL, NULL}, rest = word, token;
    if (!one || !gl_take_token(&rest, &token) || gl_text_len(rest)) gl_error_misuse(L, "option 'protocols' must be a list of names without blanks and commas");
    if (lists(r, "sec-websocket-protocol", word, true)) break;
  }
  lua_remove(L, -2); /* protocol, or nil after the last */
}

/* What is known of a socket before there is one. */
typedef struct opening {
  gl_ws_limits limits;
  char accept[GL_WS_ACCEPT + 1];
  gl_permessage_wish wish;
  gl_permessage_terms terms;
  char extension[GL_PERMESSAGE_TEXT]; /* the answer to the offer that was taken; empty: none was */
} opening;

/* Takes the first offer of permessage-deflate that suits, if there is one. */
static void choose_extension(lua_State *L, const gl_request *r, int options, opening *o) {
  gl_text line;
  bool agreed = false;
  o->extension[0] = 0;
  if (!gl_ws_read_wish(L, options, &o->wish)) return;
  for (uint32_t i = 0; !agreed && gl_request_next_line(r, "sec-websocket-extensions", &i, &line);)
    agreed = gl_permessage_agree(line, &o->wish, &o->terms, o->extension);
  if (agreed) gl_ws_need_zlib(L, "ws.accept");
}

/* Returns the key; empty: HTTP/2 has none (RFC 8441, 5). */
static gl_text check_request(lua_State *L, const gl_request *r) {
  gl_text version, key = {"", ""};
  bool upgrades = r->method == HTTP_GET && r->minor >= 1 && has_token(r, "upgrade", "websocket") && has_token(r, "connection", "upgrade");
  if (!upgrades && !r->tunnel) refuse(L, 426, "this address speaks WebSocket");
  int versions = lines_of(r, "sec-websocket-version", &version);
  if (versions > 1) refuse(L, 400, "there is more than one WebSocket version");
  if (versions < 1 || !gl_text_is(version, "13")) refuse(L, 426, "WebSocket version 13 is needed");
  if (!r->tunnel && (lines_of(r, "sec-websocket-key", &key) != 1 || !gl_ws_is_key(key))) refuse(L, 400, "the WebSocket key is missing or malformed");
  if (r->has_body) refuse(L, 400, "a WebSocket request has no body");
  return key;
}

static void write_answer(gl_stream *s, const opening *o, const char *protocol, size_t n) {
  static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  gl_stream_write(s, head, sizeof head - 1);
  gl_stream_write(s, o->accept, GL_WS_ACCEPT);
  if (protocol) {
    gl_stream_write(s, "\r\nSec-WebSocket-Protocol: ", 26);
    gl_stream_write(s, protocol, n);
  }
  if (o->extension[0]) {
    gl_stream_write(s, "\r\nSec-WebSocket-Extensions: ", 28);
    gl_stream_write(s, o->extension, strlen(o->extension));
  }
  gl_stream_write(s, "\r\n\r\n", 4);
}

/* The same where the handshake is a response of HTTP/2. False: out of memory. */
static bool send_answer(gl_exchange *x, const opening *o, const char *protocol, size_t n) {
  static const char protocol_name[] = "sec-websocket-protocol", extension_name[] = "sec-websocket-extensions";
  gl_buf text = {0};
  gl_field list[2];
  gl_message_head m = {.status = 200, .length = GL_LENGTH_UNKNOWN, .fields = {.list = list}};
  uint32_t at = 0;
  bool ok = true;
  for (int i = 0; i < 2; i++) {
    const char *name = i ? extension_name : protocol_name, *value = i ? o->extension : protocol;
    uint32_t name_len = (uint32_t)strlen(name), len = (uint32_t)(i ? strlen(o->extension) : n);
    if (!value || !len) continue;
    ok = ok && gl_buf_add(&text, name, name_len) && gl_buf_add(&text, value, len);
    list[m.fields.n++] = (gl_field){at, name_len, at + name_len, len};
    at += name_len + len;
  }
  m.fields.text = at && ok ? gl_buf_at(&text) : "";
  ok = ok && x->carrier->send_head(x, &m) == 0;
  gl_buf_free(&text);
  return ok;
}

/* Makes the socket of an opening, which takes the exchange's stream over. NULL: out of memory. */
static gl_ws *make_socket(gl_exchange *x, opening *o, gl_deflate_pool *pool) {
  gl_permessage *p = o->extension[0] ? gl_permessage_new(pool, &o->wish, &o->terms) : NULL;
  if (o->extension[0] && !p) return NULL;
  gl_ws *ws = gl_ws_new(x, &o->limits, p);
  if (!ws) gl_permessage_free(p);
  return ws;
}

/* Takes the exchange's stream over and answers the handshake. The protocol, a string or nil, is at index 3, below the handle, which is
 * on top. Calls no Lua. */
static int accept_socket(lua_State *L, gl_exchange *x, bool tunnel, gl_ws **handle, opening *o) {
  size_t n = 0;
  const char *protocol = lua_tolstring(L, 3, &n);
  if (!x || x->out != GL_OUT_HEAD) return gl_error_raise(L, "ws.accept", "ECLOSED", "the request was answered already");
  if (!x->carrier->is_open(x)) return gl_error_departure(L, "ws.accept", UV_EPIPE, "the client is gone");
  o->limits.linger_timeout = ((const gl_server *)x->context)->limits.request_timeout;
  bool answered = !tunnel || send_answer(x, o, protocol, n);
  gl_ws *ws = *handle = answered ? make_socket(x, o, gl_ws_pool(L)) : NULL;
  if (!ws && x->out != GL_OUT_HEAD) x->carrier->cut(x);
  if (!ws) return gl_error_raise(L, "ws.accept", "ENOMEM", "not enough memory");
  if (!tunnel) write_answer(ws->stream, o, protocol, n);
  lua_pushvalue(L, 3);
  return 2;
}

/* accept(req [, options]) -> ws, protocol or nil. Options: max_message, max_pending (bytes), ping_interval, idle_timeout (seconds), origins ("*", one, or a
 * list), protocols (a list), cancel_on_disconnect, compression (false, true, or its options). */
static int ws_accept(lua_State *L) {
  gl_request *r = gl_check_request(L, 1);
  opening o;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  gl_ws_read_limits(L, 2, &o.limits);
  lua_getfield(L, 2, "cancel_on_disconnect");
  bool said = !lua_isnil(L, -1), cancel_on_disconnect = lua_toboolean(L, -1);
  lua_pop(L, 1);
  gl_text key = check_request(L, r);
  check_origin(L, r, 2);
  const char *error = gl_library_need("libcrypto.so.3");
  if (error) return gl_error_raise(L, "ws.accept", "ENOLIBRARY", "WebSockets need libcrypto: %s", error);
  if (!r->tunnel) gl_ws_accept_key(key, o.accept);
  choose_extension(L, r, 2, &o);
  choose_protocol(L, r, 2); /* request options protocol */
  lua_getfield(L, 1, "remote"); /* keeps the address with the request: the connection will be without a stream */
  if (r->secure) lua_getfield(L, 1, "tls");
  lua_settop(L, 3);
  gl_ws **handle = gl_ws_handle(L);
  int results = accept_socket(L, r->x, r->tunnel, handle, &o); /* from here on no Lua runs */
  if (said) gl_call_set_cancel_on_disconnect(r->x, cancel_on_disconnect);
  else gl_call_default_cancel_on_disconnect(r->x);
  gl_ws_start(*handle);
  return results;
}

int luaopen_green_ws(lua_State *L) {
  static const luaL_Reg functions[] = {{"accept", ws_accept}, {"opening", gl_ws_opening}, {"take", gl_ws_take}, {NULL, NULL}};
  luaL_newlibtable(L, functions);
  gl_ws_push_pool(L);
  luaL_setfuncs(L, functions, 1);
  gl_ws_metatable(L);
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "metatable");
  return 1;
}
