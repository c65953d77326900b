/* SPDX-License-Identifier: MIT */
#include "web/websocket_client.h"

#include <lauxlib.h>
#include <openssl/evp.h>

#include "core/error.h"
#include "core/library.h"
#include "core/memory.h"
#include "net/socket.h"
#include "web/websocket_lua.h"
#include "web/websocket_options.h"
#include "ws/handshake.h"

#define OP "ws.connect"
#define NONCE 16 /* bytes of a key before base64 */

int gl_ws_opening(lua_State *L) {
  gl_permessage_wish wish;
  char key[GL_WS_KEY + 1], accept[GL_WS_ACCEPT + 1], offer[GL_PERMESSAGE_TEXT];
  unsigned char nonce[NONCE];
  luaL_checktype(L, 1, LUA_TTABLE);
  bool offers = gl_ws_read_wish(L, 1, &wish);
  const char *error = gl_library_need("libcrypto.so.3");
  if (error) return gl_error_raise(L, OP, "ENOLIBRARY", "WebSockets need libcrypto: %s", error);
  int err = uv_random(NULL, NULL, nonce, NONCE, 0, NULL);
  if (err) return gl_error_status(L, OP, err, "no random bytes");
  EVP_EncodeBlock((unsigned char *)key, nonce, NONCE);
  gl_ws_accept_key(gl_text_of(key, GL_WS_KEY), accept);
  lua_pushlstring(L, key, GL_WS_KEY);
  lua_pushstring(L, accept);
  if (!offers) return 2;
  gl_permessage_offer(&wish, offer);
  lua_pushstring(L, offer);
  return 3;
}

int gl_ws_take(lua_State *L) {
  gl_socket *s = gl_socket_check(L);
  size_t n, len;
  const char *rest = luaL_checklstring(L, 2, &n), *answer = luaL_optlstring(L, 3, NULL, &len);
  gl_ws_limits limits;
  gl_permessage_wish wish;
  gl_permessage_terms terms;
  luaL_checktype(L, 4, LUA_TTABLE);
  gl_ws_read_limits(L, 4, &limits);
  bool offered = gl_ws_read_wish(L, 4, &wish);
  if (answer && !(offered && gl_permessage_accept(gl_text_of(answer, len), &wish, &terms)))
    return gl_error_raise(L, OP, "EPROTO", "%s: the server answered with extensions that were not offered", s->peer);
  if (answer) gl_ws_need_zlib(L, OP);
  limits.linger_timeout = 0; /* there is no handler */
  gl_ws **handle = gl_ws_handle(L);
  if (s->in.len) return 0;
  if (!gl_socket_is_free(s)) return gl_error_raise(L, OP, "ECONNRESET", "%s: the connection was closed", s->peer);
  gl_buf more = {0};
  gl_permessage *p = answer ? gl_permessage_new(gl_ws_pool(L), &wish, &terms) : NULL;
  if ((!answer || p) && gl_buf_add(&more, rest, n)) *handle = gl_ws_new_client(s->stream, &more, &limits, p);
  if (!*handle) {
    gl_permessage_free(p);
    gl_buf_free(&more);
    return gl_memory_raise(L);
  }
  gl_socket_released(s);
  gl_ws_start(*handle);
  return 1;
}
