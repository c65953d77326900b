/* SPDX-License-Identifier: MIT
 *
 * One connection to a server that speaks HTTP/1.1: the carrier (message/exchange.h) of one exchange after the other, each for whoever
 * the pool gives the connection to. No function here calls Lua or waits.
 *
 *     gl_outbound_dial --> DIALING --on_dialled: ready--------------------------------------------> BUSY
 *                             |  '---on_dialled: secure------------> SECURING --on_secured: ready--> BUSY
 *                             '--on_dialled: gl_outbound_ask_proxy--> TUNNEL --tunnelled: secure--> SECURING
 *
 *     BUSY --outbound_release: gl_pool_keep, the line is empty--> IDLE --gl_outbound_serve: ready--> BUSY
 *       |--outbound_release: gl_pool_keep, for the next in line----------------------------------> BUSY
 *       '--outbound_release: the connection cannot be used again--> CLOSING
 *
 *     DIALING to SECURING, IDLE --gl_outbound_lose: the connection ends by itself; gl_outbound_drop--> CLOSING --on_closed--> freed (DIALING: at once)
 *
 * The exchange, in BUSY
 *
 *     x.out: HEAD --outbound_send_head--> BODY --outbound_finish, outbound_cut--> DONE
 *              '----outbound_send-------------------------------------------------^
 *     x.in:  HEAD --on_head--> BODY --gl_outbound_read: the response has ended; gl_outbound_lost: so has a body until close--> DONE
 *              '-----------------'----gl_outbound_read: malformed, too large, no memory--> BAD
 *
 *     file                 its part
 *     outbound.c           life: from the dialling to the first exchange, from one exchange to the next, to the end
 *     outbound_tunnel.c    the way through a proxy, in TUNNEL
 *     outbound_exchange.c  the carrier: messages to bytes, bytes to messages
 *
 *  1. `rt` is set in DIALING to SECURING: the round trip that the connection is made for. In BUSY the exchange has a user instead.
 *  2. Bytes that arrive in IDLE answer no request: the connection is closed, so that no later request takes them for its answer.
 *  3. A connection becomes IDLE, or BUSY with the next in line, only when its request has left entirely and its response has ended
 *     where its head said (`reusable`).
 *  4. The user may release the exchange in every call it gets, and another exchange may have begun when the call returns: `served` says
 *     so. The connection itself is freed by on_closed at the earliest, which no call of a user's can lead to.
 */
#ifndef GL_TRANSPORT_OUTBOUND_H
#define GL_TRANSPORT_OUTBOUND_H

#include "h1/response_reader.h"
#include "message/body_out.h"
#include "message/exchange.h"
#include "net/dial.h"
#include "transport/pool.h"

typedef enum gl_outbound_state { GL_OUTBOUND_DIALING, GL_OUTBOUND_TUNNEL, GL_OUTBOUND_SECURING, GL_OUTBOUND_IDLE, GL_OUTBOUND_BUSY, GL_OUTBOUND_CLOSING } gl_outbound_state;

struct gl_outbound {
  gl_pool *pool;
  gl_origin *origin;   /* one use of it is the connection's */
  gl_dial *dial;       /* while DIALING; else NULL */
  gl_stream *stream;   /* NULL while DIALING */
  gl_roundtrip *rt;    /* invariant 1 */
  gl_outbound_state state;
  uint32_t served;     /* exchanges that were released; more than 0: the connection is a kept one */
  uint64_t began;      /* `taken` of the stream when the exchange at hand began, */
  uint64_t began_at;   /* and `written` */
  uint64_t idle_since; /* loop time, ms */
  uint32_t idle_most;  /* ms that the connection may be idle, by what the server says */
  uint32_t left;       /* requests that the server still takes, by what it says */
  gl_outbound *next, **at;            /* among all connections of the pool */
  gl_outbound *idle_next, **idle_at;  /* among the idle ones of its origin */
  gl_outbound *older, *newer;         /* among the idle ones of all origins */
  gl_response_reader reader;          /* TUNNEL: reads the proxy's answer */
  gl_body_out out;                    /* of the request */
  bool refused;                       /* TUNNEL: the proxy said no, and the beginning of its answer's body is collected in x.body */
  bool reusable;                      /* the response lets the connection be used again */
  char remote[GL_ADDRESS_MAX];        /* the address it is connected to, the proxy's if there is one; "": none yet */
  gl_exchange x;                      /* the last member: its user's bytes follow */
};

/* Dials for a round trip, which is begun (gl_roundtrip_begin) once connected, or told why not (gl_roundtrip_lost), perhaps before this
 * returns. False: out of memory, and nothing was done. */
bool gl_outbound_dial(gl_origin *o, gl_roundtrip *rt);

/* Is an idle connection still open, with nothing to read, as far as the loop knows, unless its look was long before `now` (ns); or `exactly`,
 * the kernel? */
bool gl_outbound_is_alive(const gl_outbound *c, uint64_t now, bool exactly);

/* Hands an exchange on a free connection, which is in no list of idle ones, to a round trip (gl_roundtrip_begin). */
void gl_outbound_serve(gl_outbound *c, gl_roundtrip *rt);

/* Closes the connection at once. The round trip that it is made for, or the user of its exchange, is not told. */
void gl_outbound_drop(gl_outbound *c);

/* If the proxy has refused the tunnel, and only the body of its answer is missing: ends the connection and its round trip with that answer, as
 * far as it came. False: that is not so, and nothing was done. (outbound_tunnel.c) */
bool gl_outbound_settle(gl_outbound *c);

/* ---- between the files of a connection ---- */

/* Closes a connection that has ended by itself or is of no use, and tells whom it serves why. `code` and `why` as for gl_roundtrip_lost. */
void gl_outbound_lose(gl_outbound *c, int status, const char *code, const char *why);

/* Goes on with a connection that leads to the server: TLS, or the first exchange. */
void gl_outbound_reached(gl_outbound *c);

/* Asks the proxy for a tunnel. (outbound_tunnel.c) */
void gl_outbound_ask_proxy(gl_outbound *c);

/* Reads bytes of the proxy's answer, in TUNNEL. The connection may be in any state when this returns. (outbound_tunnel.c) */
void gl_outbound_read_tunnel(gl_outbound *c, const char *bytes, size_t n);

/* Makes the exchange ready for a user of gl_roundtrip's. (outbound_exchange.c) */
void gl_outbound_renew(gl_outbound *c);

/* Reads bytes of the response, in BUSY. The connection may be in any state when this returns. */
void gl_outbound_read(gl_outbound *c, const char *bytes, size_t n);

/* Takes note that what was written is with the kernel, in BUSY. The connection may be in any state when this returns. */
void gl_outbound_drained(gl_outbound *c);

/* Takes note that the connection has ended or is of no use, in BUSY, and tells the user: the response is complete by that, or the user
 * is told why not. `code` and `why` are those of gl_exchange. */
void gl_outbound_lost(gl_outbound *c, int status, const char *code, const char *why);

/* Frees what the exchange has received and its user has not taken. */
void gl_outbound_clear(gl_outbound *c);

#endif
