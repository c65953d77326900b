/* SPDX-License-Identifier: MIT
 *
 * Connecting to whatever answers first ("happy eyeballs", RFC 8305): a name's addresses are tried with the families in
 * turn, the next one a quarter of a second after the last or as soon as that has failed; the first connection wins and
 * the others are closed. No function here calls Lua or waits.
 *
 *     gl_dial_start --(a name)--> LOOKING UP --on_resolved--> TRYING --on_connect: the first that is connected--> OVER
 *           '---(addresses)-------------------------------------^ |--on_connect: all have failed---------------> OVER
 *                                                                 '--on_stagger, or a failure: the next address
 *     any --gl_dial_cancel--> OVER --(no callback is pending)--> freed
 *
 *  1. `done` is called once, on the way to OVER, unless gl_dial_cancel came before.
 *  2. At most one of the streams survives: that of `done`.
 *  3. A dial is freed when it is OVER and libuv owes it no callback any more.
 */
#ifndef GL_NET_DIAL_H
#define GL_NET_DIAL_H

#include "net/address.h"
#include "net/stream.h"

#define GL_DIAL_MAX 16 /* addresses tried at most */

typedef struct gl_dial gl_dial;

typedef struct gl_dial_to {
  const gl_address *addresses; /* in this order; */
  unsigned n;                  /* 0 = look up `host`: */
  const char *host;
  int port;
  int family;                  /* AF_UNSPEC, AF_INET, AF_INET6 */
  const gl_stream_user *user;  /* of the streams; their owner is NULL until `done` */
  bool (*allows)(const gl_address *address); /* addresses it says no to are left out; with none left the status is UV_EACCES; NULL: any is fine */
  void (*resolved)(void *owner); /* the name was looked up, the first attempt follows; NULL: not of interest */
} gl_dial_to;

/* The stream is the owner's, not reading; or NULL, UV_E*, and the address that failed (NULL: none was tried). */
typedef void (*gl_dial_done)(void *owner, gl_stream *stream, int status, const gl_address *failed);

/* *out is set before `done` can be called, which may be at once. False: out of memory. */
bool gl_dial_start(gl_host *h, const gl_dial_to *to, gl_dial_done done, void *owner, gl_dial **out);

/* Nobody wants it any more: `done` is not called. */
void gl_dial_cancel(gl_dial *d);

#endif
