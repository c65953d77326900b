/* SPDX-License-Identifier: MIT
 *
 * A server (http/server.h) that answers with functions of Lua, and the module green.http.native.
 */
#ifndef GL_WEB_SERVER_LUA_H
#define GL_WEB_SERVER_LUA_H

#include "core/op.h"
#include "http/server.h"
#include "net/networks.h"
#include "web/call.h"

#define GL_METHODS 48 /* more methods than llhttp knows */

typedef struct gl_web_server {
  gl_server server;       /* the first member, so that the context of an exchange is this struct, too */
  int dispatch;           /* registry: { [GL_FALLBACK] = function(req), [GL_ON_ERROR] = function(req, status, reason, err) or nil,
                             [GL_EXACT + method] = { path = function(req) } } */
  int self;               /* registry: the handle, while the server listens */
  gl_op *closing_op;      /* waits for the end of the last connection */
  uint64_t requests;      /* how many came so far */
  uint64_t id_seed;       /* of the requests' ids */
  gl_networks *trusted_proxies; /* owned; NULL: none */
  int proxy_headers;      /* bits of web/forwarded.h: the headers of trusted proxies that count */
  bool trust_request_id;  /* X-Request-Id is the id of a request */
  bool cancel_on_disconnect, cancel_chosen; /* the option of that name; whether it was given */
} gl_web_server;

enum { GL_FALLBACK = 1, GL_ON_ERROR, GL_EXACT };

/* Reads limits and time-outs from the table at idx, and what the server makes of its proxies: `trusted_proxies` is new memory. Raises for an
 * unknown or mistyped option, by its name, and has made nothing then. `listens`: these are the options of an address, among which `tls` may
 * be; that is left to the caller. */
void gl_server_read_options(lua_State *L, int idx, gl_web_server *s, bool listens);

/* Reads the options trusted_proxies, proxy_headers and proxy_protocol, the last of them all. (server_proxies.c) */
void gl_server_read_proxies(lua_State *L, int idx, gl_web_server *s);

/* Pushes green.http.native: check_options, listen, settle, failure, refusal, request, response. */
int luaopen_green_http(lua_State *L);

#endif
