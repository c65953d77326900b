/* SPDX-License-Identifier: MIT
 *
 * A server (http/server.h) that answers with functions of Lua, and the module green.http.native.
 */
#ifndef GL_WEB_SERVER_LUA_H
#define GL_WEB_SERVER_LUA_H

#include "core/op.h"
#include "http/server.h"
#include "web/call.h"

#define GL_METHODS 48 /* more than llhttp knows */

typedef struct gl_web_server {
  gl_server server;       /* the first member: it is the context of its exchanges */
  int dispatch;           /* registry: { [GL_FALLBACK] = function(req), [GL_ON_ERROR] = function(req, status, reason, err) or nil,
                             [GL_EXACT + method] = { path = function(req) } } */
  int self;               /* registry: the handle, while listening */
  gl_op *closing_op;      /* waits for the last connection */
  uint64_t requests;      /* so far */
  uint64_t id_seed;       /* of their ids */
  bool trust_request_id;  /* take X-Request-Id over */
  bool cancel_on_disconnect, cancel_chosen; /* default of cancel_on_disconnect, and whether there is one */
} gl_web_server;

enum { GL_FALLBACK = 1, GL_ON_ERROR, GL_EXACT };

/* Reads limits and time-outs from the table at idx. Raises for what is unknown or mistyped. */
void gl_server_read_options(lua_State *L, int idx, gl_web_server *s);

/* green.http.native: listen, request, response. */
int luaopen_green_http(lua_State *L);

#endif
