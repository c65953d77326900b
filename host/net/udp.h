/* SPDX-License-Identifier: MIT
 *
 * A UDP socket, and a queue of the datagrams that have arrived, in order. The queue is bounded: while it is full, the kernel keeps
 * datagrams in its own buffer, and drops those for which that has no room. No function here calls Lua or waits.
 *
 *     closed --gl_udp_open_socket--> open --gl_udp_receive--> receiving --on_datagram: the queue is full--> open
 *                                      |                          ^------gl_udp_shift: half of it is empty----'
 *                                      '--gl_udp_close (also from receiving)--> closed
 */
#ifndef GL_NET_UDP_H
#define GL_NET_UDP_H

#include "core/op.h"
#include "net/address.h"

typedef struct gl_datagram {
  struct gl_datagram *next;
  struct sockaddr_storage from;
  bool cut; /* the datagram was longer than gl_udp.longest; the rest is lost */
  size_t n; /* bytes */
  char bytes[];
} gl_datagram;

typedef struct gl_udp {
  uv_udp_t uv;
  gl_host *host;
  gl_datagram *first, **last; /* the queue: datagrams that no task has received yet */
  size_t bytes;               /* bytes of the datagrams in the queue */
  size_t count, limit;        /* datagrams in the queue, and at most */
  size_t longest;             /* bytes of a datagram that are kept, at most */
  gl_op *reader;              /* waits for a datagram, an error or the closing; stays here until its task has taken the result */
  int family;
  int error;                  /* UV_E* that the network reported after the datagrams of the queue; set to 0 by the one who raises it */
  bool receiving;             /* libuv receives */
  bool closed;
  uint32_t refs;              /* held by the handle, by libuv and by each op */
  char address[GL_ADDRESS_MAX]; /* the address to which the socket is bound */
  char peer[GL_ADDRESS_MAX];  /* "" = not connected */
} gl_udp;

/* Makes a closed socket with one reference, the caller's. NULL: out of memory. */
gl_udp *gl_udp_new(gl_host *h);

/* Gives a reference up; the last one frees the socket and its queue. */
void gl_udp_unref(gl_udp *u);

/* Opens the socket and binds it. Returns 0 or UV_E*. A socket that is not `closed` afterwards, also one that could not be bound, counts in
 * census.handles until gl_udp_close. */
int gl_udp_open_socket(gl_udp *u, const gl_address *address, unsigned flags);

/* Begins to receive. Returns 0 or UV_E*. Idempotent. */
int gl_udp_receive(gl_udp *u);

/* Connects the socket, which is not connected. Returns 0 or UV_E*. */
int gl_udp_connect(gl_udp *u, const gl_address *to);

/* Drops the first datagram of the queue, which is not empty, and receives again if half of the queue is empty. */
void gl_udp_shift(gl_udp *u);

/* Closes the socket and wakes `reader`; sends that libuv has not finished end with UV_ECANCELED. Idempotent. */
void gl_udp_close(gl_udp *u);

#endif
