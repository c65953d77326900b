/* SPDX-License-Identifier: MIT
 *
 * One connection to a server, which carries one round trip of HTTP/1 at a time. No function here calls Lua or waits.
 *
 *     gl_outbound_dial --> DIALING --on_dialled: ready--------------------------------------------> BUSY
 *                             |  '---on_dialled: secure------------> SECURING --on_secured: ready--> BUSY
 *                             '--on_dialled: ask_proxy--> TUNNEL --tunnelled: secure--> SECURING
 *
 *     BUSY --gl_outbound_release: gl_pool_keep, the line is empty--> IDLE --gl_outbound_serve: ready--> BUSY
 *       |--gl_outbound_release: gl_pool_keep, for the next in line---------------------------------> BUSY
 *       '--gl_outbound_release: the connection cannot be used again--> CLOSING
 *
 *     any --lose: the connection ends by itself, gl_outbound_drop--> CLOSING --on_closed--> freed (DIALING: at once)
 *
 *  1. `rt` is set in every state but IDLE and CLOSING; before BUSY it is the round trip that this connection is dialled for.
 *  2. Bytes that arrive in IDLE answer no request: the connection is closed, so that no later request takes them for its answer.
 *  3. A connection becomes IDLE, or BUSY with the next in line, only when its request has left entirely and its response has ended
 *     where its head said.
 *  4. A round trip that has begun may be over, or on another connection, after each write: look at rt->conn again.
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
  gl_origin *origin;   /* one use of it is the connection's */
  gl_dial *dial;       /* while DIALING; else NULL */
  gl_stream *stream;   /* NULL while DIALING */
  gl_roundtrip *rt;
  gl_outbound_state state;
  uint32_t served;     /* round trips that were released; more than 0: the connection is a kept one */
  uint64_t began;      /* `taken` of the stream when the request at hand began */
  uint64_t idle_since; /* loop time, ms */
  gl_outbound *next, **at;            /* among all connections of the pool */
  gl_outbound *idle_next, **idle_at;  /* among the idle ones of its origin */
  gl_outbound *older, *newer;         /* among the idle ones of all origins */
  gl_response_reader *tunnel;         /* reads the proxy's answer, from TUNNEL on; NULL: no proxy was asked. Owned */
  char remote[GL_ADDRESS_MAX];        /* the address it is connected to, the proxy's if there is one; "": none yet */
};

/* Dials for a round trip, which is begun (gl_roundtrip_begin) once connected, or told why not (gl_roundtrip_lost), perhaps before this
 * returns. False: out of memory, and nothing was done. */
bool gl_outbound_dial(gl_origin *o, gl_roundtrip *rt);

/* Is an idle connection still open, with nothing to read, as far as the kernel knows? */
bool gl_outbound_is_alive(const gl_outbound *c);

/* Begins a round trip (gl_roundtrip_begin) on a free connection, which is in no list of idle ones. */
void gl_outbound_serve(gl_outbound *c, gl_roundtrip *rt);

/* Ends the connection's part in a round trip that has its response. `reusable`: the connection may serve another; else, or if the
 * pool does not keep it, it is closed. */
void gl_outbound_release(gl_outbound *c, bool reusable);

/* Closes the connection at once. Its round trip, if there is one, is not told, and has no connection any more. */
void gl_outbound_drop(gl_outbound *c);

#endif
