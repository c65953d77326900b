/* SPDX-License-Identifier: MIT
 *
 * A socket for datagrams, and a queue of those that arrived, in order. It is bounded: beyond that the kernel keeps what
 * fits in its own buffer, and drops the rest. No function here calls Lua or waits.
 */
#ifndef GL_NET_UDP_H
#define GL_NET_UDP_H

#include "core/op.h"
#include "net/address.h"

typedef struct gl_datagram {
  struct gl_datagram *next;
  struct sockaddr_storage from;
  bool cut; /* it was longer */
  size_t n;
  char bytes[];
} gl_datagram;

typedef struct gl_udp {
  uv_udp_t uv;
  gl_host *host;
  gl_datagram *first, **last; /* received, not asked for */
  size_t bytes;               /* in them */
  size_t count, limit;
  size_t longest;             /* bytes taken of one */
  gl_op *reader;              /* done when there is something, or the socket was closed; until its result was taken */
  int family;
  int error;                  /* that the network reported after those in the queue; whoever tells it sets it to 0 */
  bool receiving;
  bool closed;
  uint32_t refs;              /* the handle, libuv, each op */
  char address[GL_ADDRESS_MAX];
  char peer[GL_ADDRESS_MAX];  /* "" = not connected */
} gl_udp;

/* One reference is the caller's. Closed, until it is opened. NULL: out of memory. */
gl_udp *gl_udp_new(gl_host *h);
void gl_udp_unref(gl_udp *u);

/* Bind it; counted in census.handles until it is closed, also after an error. 0 or UV_E*. */
int gl_udp_open_socket(gl_udp *u, const gl_address *address, unsigned flags);

/* Begin to receive. 0 or UV_E*. Idempotent. */
int gl_udp_receive(gl_udp *u);

/* Once. 0 or UV_E*. */
int gl_udp_connect(gl_udp *u, const gl_address *to);

/* Drop the first in the queue. */
void gl_udp_shift(gl_udp *u);

/* Who waits is woken; what libuv has not sent is ended with UV_ECANCELED. Idempotent. */
void gl_udp_close(gl_udp *u);

#endif
