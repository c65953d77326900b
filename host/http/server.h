/* SPDX-License-Identifier: MIT
 *
 * The HTTP/1.1 server: listening sockets, their connections, and what answers them.
 */
#ifndef GL_HTTP_SERVER_H
#define GL_HTTP_SERVER_H

#include "h1/writer.h"
#include "http/conn.h"
#include "net/listener.h"

#define GL_METHODS 48 /* more than llhttp knows */

/* Every one finite; times in seconds. */
typedef struct gl_server_limits {
  gl_head_limits head;
  double header_timeout;    /* from the first byte of a head (or the connection) to its last: 408 */
  double keepalive_timeout; /* between requests */
  double body_timeout;      /* for a body that is waited for, or two pieces of it, and more for a long one: 408 */
  double body_min_rate;     /* bytes of it that give it another second */
  double write_timeout;     /* for a client that does not read its answer */
  double request_timeout;   /* for the handler to answer: 503 */
  double cpu_limit;         /* of CPU a request may use, in slices it did not make way by itself: 503 */
  size_t max_body;          /* bytes req:body() takes: 413 */
  uint32_t max_connections; /* further ones wait in the kernel's backlog */
} gl_server_limits;

struct gl_server {
  gl_host *host;
  gl_listener *listener;  /* NULL once closed */
  gl_conn *conns;
  uint32_t nconns;
  uint32_t refs;          /* the Lua handle, the listener, each connection */
  gl_server_limits limits;
  gl_head *spare_heads;   /* to be used again */
  int spares;             /* how many those are */
  gl_timer sweep;
  gl_conn *swept;         /* the next one to look at in this sweep; NULL = it is over */
  gl_op *closing_op;      /* waits for the last connection */
  uint64_t requests;      /* so far */
  uint64_t id_seed;       /* of their ids */
  gl_h1_date date;
  char address[GL_ADDRESS_MAX];
  int dispatch;           /* registry: { [GL_FALLBACK] = function(req), [GL_ON_ERROR] = function(req, status, reason, err) or nil,
                             [GL_EXACT + method] = { path = function(req) } } */
  int self;               /* registry: the handle, while listening */
  bool trust_request_id;  /* take X-Request-Id over */
  bool closing;
  bool crowded;           /* at the last sweep, clients waited for a connection: idle ones are given up for them */
  bool cancel_on_disconnect, cancel_chosen; /* default of cancel_on_disconnect, and whether there is one */
};

enum { GL_FALLBACK = 1, GL_ON_ERROR, GL_EXACT };

void gl_server_unref(gl_server *s);

/* A connection ended: there may be room for another. */
void gl_server_conn_closed(gl_server *s);

/* Heads are used again and again. NULL: out of memory. */
gl_head *gl_server_head(gl_server *s);
void gl_server_drop_head(gl_server *s, gl_head *h);

/* green.http.native: listen, request, response. */
int luaopen_green_http(lua_State *L);

#endif
