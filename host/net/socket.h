/* SPDX-License-Identifier: MIT
 *
 * Connected sockets for scripts. One task may read while another writes; a second reader is told so. What has
 * arrived and was not read yet waits in `in`, up to a mark; then the peer waits.
 */
#ifndef GL_NET_SOCKET_H
#define GL_NET_SOCKET_H

#include "core/op.h"
#include "net/address.h"
#include "net/stream.h"

#define GL_PEER_MAX (GL_HOST_MAX + 8)

typedef struct gl_socket {
  gl_host *host;
  gl_stream *stream;       /* NULL once gone */
  struct gl_socket *next;  /* in a listener's queue */
  gl_buf in;
  gl_op *reader, *writer;  /* until their result was taken */
  gl_op *securer;          /* waits for the TLS handshake */
  gl_timer linger;
  int lingered;            /* seconds */
  int ended;               /* 0, or UV_EOF or the error reading ended with */
  uint32_t refs;           /* the handle, the stream, each op */
  bool closed;             /* by this side */
  char peer[GL_PEER_MAX];  /* for messages */
} gl_socket;

/* What the streams of sockets are made for. */
extern const gl_stream_user gl_socket_user;

/* A socket for a connected stream, with two references: the stream's and the caller's. NULL: out of memory. */
gl_socket *gl_socket_new(gl_host *h, gl_stream *stream);
void gl_socket_unref(gl_socket *s);

/* Pushes a handle, to be given a socket whose reference it then has. May raise. */
gl_socket **gl_socket_push(lua_State *L);

/* The socket at index 1. Raises. */
gl_socket *gl_socket_check(lua_State *L);

/* What a waiting op of a socket has; its cancel, free and object. */
typedef struct gl_socket_op {
  gl_op op;
  gl_socket *s;
  gl_op **slot;
  size_t max;
} gl_socket_op;

/* gl_op_new, in the given slot of the socket. */
gl_socket_op *gl_socket_wait(lua_State *L, const gl_optype *type, gl_socket *s, gl_op **slot);
void gl_socket_cancel(gl_op *op);
void gl_socket_free(gl_op *op);
void gl_socket_object(const gl_op *op, char *out, size_t size);

/* An op is done, unless there is none or it was told so. Its slot stays taken until the woken task has come for the
 * result: another one must not take it first. */
void gl_socket_wake(gl_op *op, int status);

/* Raise what ended the socket. Never returns. */
int gl_socket_raise(lua_State *L, const char *op, const gl_socket *s, int status);

/* The TLS handshake is over: a gl_tls_start.ready. */
void gl_socket_secured(gl_stream *stream, int status);

/* Creates the class. Once per host. */
void gl_socket_class(lua_State *L);

#endif
