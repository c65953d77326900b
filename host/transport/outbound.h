/* SPDX-License-Identifier: MIT
 *
 * One connection to a server, HTTP/1 on it, one round trip at a time.
 *
 *     gl_outbound_dial                                        +--------------- gl_pool_keep <-- finish ---------------+
 *           |                                                 v                                                       |
 *       DIALING --on_dialled--> [TUNNEL --tunnelled-->] [SECURING --on_secured-->] IDLE --gl_outbound_serve--> BUSY --+
 *           |                      |                       |                        |                           |
 *           +----------------------+-----------------------+------------------------+-- lose / gl_outbound_drop +--> CLOSING --on_closed--> freed
 *
 *  1. `rt` is set in every state but IDLE and CLOSING; before BUSY it is the one that this connection is dialled for.
 *  2. Bytes that arrive in IDLE were not asked for: the connection is closed, nobody will take them for an answer.
 *  3. Only a connection whose request has left entirely, and whose response has ended where it said, becomes IDLE again.
 */
#ifndef GL_TRANSPORT_OUTBOUND_H
#define GL_TRANSPORT_OUTBOUND_H

#include "h1/response_reader.h"
#include "net/dial.h"
#include "net/stream.h"
#include "transport/pool.h"

typedef enum gl_outbound_state { GL_OUTBOUND_DIALING, GL_OUTBOUND_TUNNEL, GL_OUTBOUND_SECURING, GL_OUTBOUND_IDLE, GL_OUTBOUND_BUSY, GL_OUTBOUND_CLOSING } gl_outbound_state;

struct gl_outbound {
  gl_pool *pool;
  gl_origin *origin;   /* used */
  gl_dial *dial;       /* while DIALING */
  gl_stream *stream;   /* from then on */
  gl_roundtrip *rt;
  gl_outbound_state state;
  uint32_t served;     /* responses that came to their end */
  uint64_t began;      /* `written` of the stream when the request at hand began */
  uint64_t idle_since; /* ms */
  gl_outbound *next, **at;            /* among all */
  gl_outbound *idle_next, **idle_at;  /* among the idle ones of its origin */
  gl_outbound *older, *newer;         /* among all idle ones */
  gl_response_reader *tunnel;         /* reads the proxy's answer while TUNNEL; owned */
  char remote[GL_ADDRESS_MAX];        /* whom it is connected to; "" = nobody yet */
};

/* Dials for a round trip, which hears of it. False: out of memory, and nothing was done. */
bool gl_outbound_dial(gl_origin *o, gl_roundtrip *rt);

/* Still open, as far as the kernel knows? */
bool gl_outbound_is_alive(const gl_outbound *c);

/* Sends the request of a round trip on an idle connection. */
void gl_outbound_serve(gl_outbound *c, gl_roundtrip *rt);

/* The round trip has its response, or is given up: what becomes of the connection. `reusable`: it may serve another. */
void gl_outbound_release(gl_outbound *c, bool reusable);

/* Closes it at once; its round trip, if it has one, is not told. */
void gl_outbound_drop(gl_outbound *c);

#endif
