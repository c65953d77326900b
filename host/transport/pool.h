/* SPDX-License-Identifier: MIT
 *
 * Connections to servers, kept between requests: one pool per Lua state. An *origin* is what connections of one kind have in
 * common: scheme, host, port, proxy, TLS identity. Each origin has a cap of connections; round trips beyond the cap wait in line,
 * and may leave the line from any place at the same cost however long the line is. No function here calls Lua or waits.
 *
 * How a round trip gets a connection
 *
 *     gl_pool_want --a kept connection is alive: gl_pool_unkeep--> gl_outbound_serve
 *          |--none, and fewer than the cap---------------------> gl_outbound_dial
 *          '--as many as the cap: enqueue--> in line --gl_pool_keep: a connection has become free--> gl_outbound_serve
 *                                               |--gl_pool_gone: one connection fewer--------------> gl_outbound_dial
 *                                               '--gl_pool_leave: the round trip is over
 *
 * An origin's life
 *
 *     gl_origin_new --> in use --gl_origin_release, the last use: without a TLS session--> freed
 *                         ^  '--gl_origin_release, the last use: cool_down--> cold --more than GL_POOL_SESSIONS are cold--> freed
 *                         '--gl_pool_find: warm_up----------------------------'
 *
 *  1. `uses` counts the round trips that are not over, those that are not started (yet, or as models of others), and the connections; `cold` means that it is 0.
 *  2. While an origin has an idle connection, no round trip waits in its line.
 *  3. `nconns` is at most GL_POOL_PER_ORIGIN, the idle connections of all origins are at most GL_POOL_IDLE: the one that has been
 *     idle for longest is closed for a new one. One that was idle for GL_POOL_IDLE_SECONDS, or for as long as its server allows, is not used
 *     any more, and closed at a sweep every 5 s.
 *  4. The census of handles counts the connections that are not idle: an idle one belongs to no script.
 */
#ifndef GL_TRANSPORT_POOL_H
#define GL_TRANSPORT_POOL_H

#include "core/check.h"
#include "core/fork.h"
#include "core/host.h"
#include "core/map.h"
#include "h1/heads.h"
#include "net/address.h"
#include "net/tls_config.h"

#define GL_POOL_PER_ORIGIN 1024 /* connections; generous: an app that calls itself needs one for the outer and one for the
                                   inner request, or would wait for itself */
#define GL_POOL_IDLE 1024       /* connections kept open without a request, of all origins */
#define GL_POOL_IDLE_SECONDS 60.0
#define GL_POOL_SESSIONS 256    /* origins remembered without a connection, for their TLS sessions */

typedef struct gl_outbound gl_outbound;
typedef struct gl_roundtrip gl_roundtrip;
typedef struct gl_pool gl_pool;

/* Where connections of an origin lead, and what its key is made of. */
typedef struct gl_origin_spec {
  const char *key;         /* all that follows, as bytes that are equal for equal origins only */
  size_t key_len;
  const char *host;        /* a name or an address: the server that requests are for */
  int port;
  const char *path;        /* a unix socket to connect to instead; NULL: none */
  const char *proxy_host;  /* a proxy to connect to instead; NULL: none */
  int proxy_port;
  const char *proxy_auth;  /* the value of Proxy-Authorization with which the proxy is asked for a tunnel; NULL: none */
  bool tunnels;            /* the proxy is asked for a tunnel; else there is no proxy, or it forwards requests */
  gl_tls_config *tls;      /* referenced; NULL: no TLS */
  const char *server_name; /* the name that the server's certificate must have; NULL: host */
  const uint8_t (*pins)[32]; /* SHA-256 of public keys, of which the server must have one */
  unsigned npins;          /* how many pins there are; 0: the server may have any key */
  bool deny_private;       /* no address of a private network may be connected to */
} gl_origin_spec;

typedef struct gl_origin {
  gl_mapnode node;
  gl_pool *pool;
  gl_outbound *idle;         /* its idle connections, the one that became idle last first */
  gl_roundtrip *first, *last; /* the line: round trips that wait for a connection, in order */
  struct gl_origin *colder, *warmer; /* neighbours among the cold origins */
  gl_origin_spec to;         /* its strings are owned */
  SSL_SESSION *session;      /* the next connection resumes it; NULL: none */
  uint32_t nconns;           /* connections of all states but CLOSING */
  uint32_t nidle, ndialing;  /* connections that are idle, or being made */
  uint32_t nwaiting;         /* round trips in line */
  uint32_t uses;             /* invariant 1 */
  bool cold;                 /* the origin is not used, and remembered for its session */
  bool dialing;             /* gl_pool_gone works on the line */
  bool noted;                /* gl_pool_hosts has counted it */
  bool departs;             /* a kept connection ended unannounced right after an answer, and none has been used again since */
} gl_origin;

typedef struct gl_pool_stats {
  uint32_t total, idle, dialing; /* connections */
  uint32_t waiting;              /* round trips in line */
  uint64_t requests, reused;     /* round trips so far; how many of them had a kept connection */
} gl_pool_stats;

#define GL_POOL_HOST_NAME (GL_HOST_MAX + 32)

/* The connections of one origin, and its line. */
typedef struct gl_pool_host {
  char name[GL_POOL_HOST_NAME];         /* "https://h:443", "unix:/run/app.sock"; origins that differ in proxy or TLS only share a name */
  uint32_t total, idle, dialing, waiting; /* as in gl_pool_stats */
} gl_pool_host;

struct gl_pool {
  gl_host *host;
  gl_map origins;
  gl_hashkey key;
  gl_outbound *oldest, *newest; /* idle connections of all origins, in the order in which they became idle */
  gl_origin *coldest, *warmest;
  unsigned ncold;
  gl_outbound *live;            /* all connections but those CLOSING */
  gl_timer sweep;               /* closes connections that were idle for too long; armed while there are idle ones */
  gl_heads heads;               /* for the next responses */
  gl_pool_stats stats;
  gl_roundtrip *claimed;        /* by gl_pool_claim, or NULL */
  gl_tls_config *trusting;      /* trusts the system's authorities; NULL until a request needs it */
  struct gl_fork_hook fork;
  unsigned refs;                /* the Lua state's, each origin's, each round trip's */
  bool closed;                  /* the Lua state was closed */
};

/* Returns a pool with one reference, the caller's. NULL: out of memory. */
gl_pool *gl_pool_new(gl_host *h);

/* Ends all connections and their round trips, of which no op is told any more, and drops the caller's reference. */
void gl_pool_close(gl_pool *p);

/* Drops a reference; the last one frees the pool. */
void gl_pool_unref(gl_pool *p);

/* Finds the origin with this key, and adds a use that the caller gives back (gl_origin_release). NULL: there is none yet. */
gl_origin *gl_pool_find(gl_pool *p, const char *key, size_t len);

/* Makes an origin with one use, the caller's. Strings and pins are copied; the reference to the TLS configuration is taken over,
 * also when the result is NULL: out of memory. */
gl_origin *gl_origin_new(gl_pool *p, const gl_origin_spec *to);

/* Takes a reference to a round trip over and keeps it until the round trip is started (gl_pool_take_claim) or another one, or NULL, is
 * claimed: code that raises in between need not give the reference back. */
void gl_pool_claim(gl_pool *p, gl_roundtrip *rt);

/* Returns the claimed round trip, to which the reference is the caller's now. */
gl_roundtrip *gl_pool_take_claim(gl_pool *p);

/* Gives a use back; the last one lets the origin become cold, or frees it. */
void gl_origin_release(gl_origin *o);

/* Gives a round trip a kept connection (gl_roundtrip_begin), or dials one for it, or puts it in line. The round trip may be over when
 * this returns. `fresh`: it gets no kept connection. */
void gl_pool_want(gl_origin *o, gl_roundtrip *rt, bool fresh);

/* Takes a round trip out of the line. */
void gl_pool_leave(gl_origin *o, gl_roundtrip *rt);

/* Gives a connection that has become free to the next in line, or keeps it as an idle one. False: the pool is closed, and the caller
 * closes the connection. */
bool gl_pool_keep(gl_outbound *c);

/* Takes an idle connection out of the lists of idle ones, to be served or closed. */
void gl_pool_unkeep(gl_outbound *c);

/* Dials for those in line, as far as the cap allows: a connection of this origin is gone. */
void gl_pool_gone(gl_origin *o);

/* Closes all idle connections. */
void gl_pool_close_idle(gl_pool *p);

/* Writes the counts of each origin that has connections, of `room` origins at most, and returns how many of them there are. (pool_stats.c) */
size_t gl_pool_hosts(const gl_pool *p, gl_pool_host *out, size_t room);

#endif
