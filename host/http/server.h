/* SPDX-License-Identifier: MIT
 *
 * An HTTP/1.1 server without Lua: its listener, its connections and their limits. Who answers the requests is the
 * connections' user (http/exchange.h).
 */
#ifndef GL_HTTP_SERVER_H
#define GL_HTTP_SERVER_H

#include "h1/writer.h"
#include "http/conn.h"
#include "net/listener.h"

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
  const gl_exchange_user *user; /* of the exchanges, whose `context` is the server */
  void (*idle)(gl_server *s);   /* the last connection ended, and the server is stopping */
  void (*free)(gl_server *s);   /* the last reference was dropped: frees what the server is embedded in */
  gl_listener *listener;  /* NULL once closed */
  gl_conn *conns;
  uint32_t nconns;
  uint32_t refs;          /* the owner, the listener, each connection */
  gl_server_limits limits;
  gl_head *spare_heads;   /* to be used again */
  int spares;             /* how many those are */
  gl_timer sweep;
  gl_conn *swept;         /* the next one to look at in this sweep; NULL: the sweep is over */
  gl_conn *stopped;       /* the next one to tell that the server stops; NULL: all were told */
  gl_h1_date date;
  char address[GL_ADDRESS_MAX];
  bool closing;
  bool fresh;             /* while `closing`: connections without a request yet are given one */
  bool crowded;           /* at the last sweep, clients waited for a connection: idle ones are given up for them */
};

/* Begins to listen. `s` is zeroed but for host, user, idle, free, limits and `refs`, which is 1, the caller's. Returns 0 or
 * UV_E*: nothing listens then. */
int gl_server_listen(gl_server *s, const gl_address *address);

/* Stops accepting and lets what runs come to its end; idle connections are closed, in slices. `fresh`: clients that have just
 * connected, or wait in the backlog, still get their first request answered. Idempotent. */
void gl_server_stop(gl_server *s, bool fresh);

/* Stops at once: closes all connections; the users of their exchanges are told. */
void gl_server_abort(gl_server *s);

void gl_server_unref(gl_server *s);

/* A connection was freed: there may be room for another. */
void gl_server_conn_closed(gl_server *s);

/* An empty head; heads are used again and again. NULL: out of memory. */
gl_head *gl_server_head(gl_server *s);
void gl_server_drop_head(gl_server *s, gl_head *h);

#endif
