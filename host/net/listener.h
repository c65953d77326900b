/* SPDX-License-Identifier: MIT
 *
 * A listening socket. Accepted streams are handed over in the loop; no function here calls Lua or waits.
 */
#ifndef GL_NET_LISTENER_H
#define GL_NET_LISTENER_H

#include <sys/types.h>

#include "net/address.h"
#include "net/stream.h"

typedef struct gl_listener gl_listener;

typedef struct gl_listener_user {
  const gl_stream_user *streams;                       /* what accepted streams are made for */
  void (*accepted)(gl_listener *l, gl_stream *stream); /* the user owns the stream; not reading yet */
  void (*closed)(gl_listener *l);                      /* the listener is freed when this returns */
} gl_listener_user;

struct gl_listener {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  gl_host *host;
  const gl_listener_user *user;
  void *owner;
  gl_address address;
  char text[GL_ADDRESS_MAX]; /* with the port that was chosen */
  bool closing;
  bool bound;    /* a unix socket's file is ours to remove: */
  dev_t device;  /* the one it made */
  ino_t inode;
};

/* Binds and listens. 0 and *out, or UV_E*. A stale unix socket file nobody listens on is replaced. */
int gl_listener_open(gl_host *h, const gl_address *address, const gl_listener_user *user, void *owner, gl_listener **out);

/* Stops listening. Idempotent. */
void gl_listener_close(gl_listener *l);

#endif
