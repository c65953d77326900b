/* SPDX-License-Identifier: MIT
 *
 * A server of HTTP/1.1 and HTTP/2 without Lua: its listener, its connections and their limits. The user of the connections' exchanges
 * answers the requests (message/exchange.h). No function here calls Lua or waits.
 */
#ifndef GL_HTTP_SERVER_H
#define GL_HTTP_SERVER_H

#include "h1/writer.h"
#include "http/conn.h"
#include "net/listener.h"
#include "net/networks.h"
#include "net/tls_config.h"

/* The limits of a server. Each is finite; times are in seconds. */
typedef struct gl_server_limits {
  gl_head_limits head;
  double header_timeout;    /* from the first byte of a head (or the connection) to its last: 408 */
  double keepalive_timeout; /* between requests */
  double body_timeout;      /* for a body that the handler waits for, and between two pieces of it: 408 */
  double body_min_rate;     /* bytes of a body that give it one second more */
  double write_timeout;     /* for a client that does not read its answer */
  double request_timeout;   /* for the handler to answer: 503 */
  double cpu_limit;         /* of CPU time that a request may use, with all the tasks it spawns: 503 */
  uint32_t max_tasks;       /* that a request may have at once: 503 */
  size_t max_body;          /* bytes that req:body() takes: 413 */
  uint32_t max_connections; /* further ones wait in the kernel's backlog */
  uint32_t max_streams;     /* requests at once on a connection of HTTP/2, which are refused beyond; 0: HTTP/2 is not spoken */
} gl_server_limits;

struct gl_server {
  gl_host *host;
  const gl_exchange_user *user; /* of the exchanges, whose `context` is the server */
  void (*idle)(gl_server *s);   /* the last connection ended, and the server is stopping */
  void (*free)(gl_server *s);   /* the last reference was dropped: frees what the server is embedded in */
  gl_listener *listener;  /* NULL once closed */
  gl_conn *conns;
  uint32_t nconns;
  uint32_t refs;          /* the owner, the listener, each connection */
  gl_server_limits limits;
  gl_tls_config *tls;     /* referenced: of the connections that are accepted from now on; NULL: without TLS, and it stays so */
  const gl_networks *announcers; /* peers whose connections begin with a PROXY header; NULL: nobody's do */
  gl_heads heads;         /* for the next requests */
  gl_conn_request *spare_requests;
  int nspare_requests;
  gl_timer sweep;
  gl_conn *swept;         /* the next connection to look at in this sweep; NULL: the sweep is over */
  gl_conn *stopped;       /* the next connection to tell that the server stops; NULL: all were told */
  gl_h1_date date;
  char address[GL_ADDRESS_MAX];
  bool closing;
  bool fresh;             /* while `closing`: connections without a request yet may still bring one */
  bool crowded;           /* at the last sweep, clients waited for a connection: idle connections are given up for them */
};

/* Begins to listen. `s` is zeroed but for host, user, idle, free, limits and `refs`, which is 1, the caller's. Returns 0, or
 * UV_E* when the server does not listen. `tls` may be set before. */
int gl_server_listen(gl_server *s, const gl_address *address);

/* Stops accepting, lets the requests in progress come to their end, and closes idle connections, in slices. `fresh`: clients that
 * have just connected, or wait in the backlog, still get their first request answered. Idempotent. */
void gl_server_stop(gl_server *s, bool fresh);

/* Stops at once: closes all connections, and tells the users of their exchanges (`abort`). */
void gl_server_abort(gl_server *s);

/* Gives connections that are accepted from now on, of a server with TLS, other certificates; the server takes the reference. */
void gl_server_set_tls(gl_server *s, gl_tls_config *tls);

/* Does the server speak HTTP/2? The first time it loads nghttp2, if the server is allowed to. */
bool gl_server_speaks_h2(const gl_server *s);

/* Drops a reference; with the last one the server is freed, by `free`. */
void gl_server_unref(gl_server *s);

/* Returns the seconds that the rest of a body has to come, of which so many bytes have come while the user waited for so many ms. In all,
 * the user may wait body_timeout, and one second more for each body_min_rate bytes that came; and body_timeout between two pieces. So no body
 * can come so slowly that it never ends. */
double gl_server_body_time(const gl_server_limits *l, uint64_t arrived, uint64_t waited);

/* Takes note that a connection was freed: accepts again if there is room, calls `idle` after the last connection of a server that
 * stops, and drops the connection's reference. */
void gl_server_conn_closed(gl_server *s);

/* Returns a gl_conn_request with room for the bytes of the exchange's user: a spare one, as a request that ended well has left it, or a
 * zeroed one. NULL: out of memory. */
gl_conn_request *gl_server_request(gl_server *s);

/* Takes back a gl_conn_request, which owns nothing any more: it becomes a spare one, or is freed when there are many. */
void gl_server_drop_request(gl_server *s, gl_conn_request *r);

#endif
