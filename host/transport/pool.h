/* SPDX-License-Identifier: MIT
 *
 * Connections to servers, kept between requests: one pool per Lua state. An *origin* is what connections of one kind have in
 * common: scheme, host, port, proxy, TLS identity. Each has a cap of connections; round trips beyond it wait in line, and
 * leave the line from where they stand at the same cost however long it is. No function here calls Lua or waits.
 */
#ifndef GL_TRANSPORT_POOL_H
#define GL_TRANSPORT_POOL_H

#include "core/check.h"
#include "core/fork.h"
#include "core/host.h"
#include "core/map.h"
#include "h1/head.h"
#include "net/address.h"
#include "net/tls_config.h"

#define GL_POOL_PER_ORIGIN 1024 /* connections; generous: an app that calls itself needs one for the outer and one for the
                                   inner request, or waits for itself */
#define GL_POOL_IDLE 1024       /* connections kept open without a request, of all origins */
#define GL_POOL_IDLE_SECONDS 60.0
#define GL_POOL_SESSIONS 256    /* origins remembered without a connection, for their TLS sessions */

typedef struct gl_outbound gl_outbound;
typedef struct gl_roundtrip gl_roundtrip;
typedef struct gl_pool gl_pool;

/* Where to: what the key of an origin is made of. */
typedef struct gl_origin_spec {
  const char *key;         /* all of what follows, as bytes that are equal for equal origins only */
  size_t key_len;
  const char *host;        /* whom requests are for; a name or an address */
  int port;
  const char *path;        /* a unix socket to connect to instead; NULL = none */
  const char *proxy_host;  /* to connect to instead; NULL = none */
  int proxy_port;
  const char *tunnel;      /* the proxy is asked with this head (CONNECT ...) for a way through; NULL = it forwards requests */
  gl_tls_config *tls;      /* referenced; NULL = in the clear */
  const char *server_name; /* whom TLS expects; NULL = host */
  const uint8_t (*pins)[32]; /* SHA-256 of public keys, one of which the server's is; */
  unsigned npins;          /* 0 = any */
  bool deny_private;       /* no address of a private network may be connected to */
} gl_origin_spec;

typedef struct gl_origin {
  gl_mapnode node;
  gl_pool *pool;
  gl_outbound *idle;         /* the last that became so first */
  gl_roundtrip *first, *last; /* those that wait for a connection, in order */
  struct gl_origin *colder, *warmer; /* among those without a connection */
  gl_origin_spec to;         /* its strings are owned */
  SSL_SESSION *session;      /* to be resumed by the next connection; NULL = none */
  uint32_t nconns;           /* of all states */
  uint32_t nidle, nwaiting;
  uint32_t uses;             /* round trips and connections that refer to it */
  bool cold;                 /* it is only remembered */
  bool dialling;             /* gl_pool_gone works on its line */
} gl_origin;

typedef struct gl_pool_stats {
  uint32_t total, idle, dialing; /* connections */
  uint32_t waiting;              /* round trips in line */
  uint64_t requests, reused;     /* so far; those on a kept connection */
} gl_pool_stats;

struct gl_pool {
  gl_host *host;
  gl_map origins;
  gl_hashkey key;
  gl_outbound *oldest, *newest; /* idle connections */
  gl_origin *coldest, *warmest;
  unsigned ncold;
  gl_outbound *live;            /* all connections */
  gl_timer sweep;               /* closes those that were idle for too long */
  gl_head *spare_heads;
  unsigned nspare;
  gl_pool_stats stats;
  gl_origin *claimed;           /* (gl_pool_claim), or NULL */
  gl_tls_config *trusting;      /* trusts the system's authorities; NULL until it is needed */
  struct gl_fork_hook fork;
  unsigned refs;                /* the Lua state's, each origin's, each round trip's */
  bool closed;                  /* the Lua state is */
};

/* The pool of this state. May raise. */
gl_pool *gl_pool_of(lua_State *L);

void gl_pool_unref(gl_pool *p);

/* The origin with this key, which is used once more. NULL: there is none yet. */
gl_origin *gl_pool_find(gl_pool *p, const char *key, size_t len);

/* Makes an origin, used once; takes over the reference to its TLS configuration in any case. NULL: out of memory. */
gl_origin *gl_origin_new(gl_pool *p, const gl_origin_spec *to);

/* Keeps an origin's use until the request for it begins (gl_pool_take_claim), or another one is claimed: what raises in between
 * need not give it back. */
void gl_pool_claim(gl_pool *p, gl_origin *o);
gl_origin *gl_pool_take_claim(gl_pool *p);

/* One use less. */
void gl_origin_release(gl_origin *o);

/* A round trip wants a connection: it is given one (gl_roundtrip_begin), or one is dialled for it, or it waits in line.
 * `fresh`: not a kept one. */
void gl_pool_want(gl_origin *o, gl_roundtrip *rt, bool fresh);

/* It waits in line no more. */
void gl_pool_leave(gl_origin *o, gl_roundtrip *rt);

/* A connection has become idle: it goes to the next in line, or is kept; false: it is to be closed. */
bool gl_pool_keep(gl_outbound *c);

/* An idle connection is idle no more. */
void gl_pool_unkeep(gl_outbound *c);

/* A connection of this origin is gone: the next in line may have another. */
void gl_pool_gone(gl_origin *o);

/* Closes all that are idle. */
void gl_pool_close_idle(gl_pool *p);

/* Empty heads, and where they go. NULL: out of memory. */
gl_head *gl_pool_head(gl_pool *p);
void gl_pool_drop_head(gl_pool *p, gl_head *h);

#endif
