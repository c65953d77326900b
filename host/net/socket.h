/* SPDX-License-Identifier: MIT
 *
 * Connected sockets for scripts. One task may read while another writes; a second reader gets EBUSY. Bytes that have arrived and that no
 * task has read wait in `in`; while there are too many, the stream is paused, so that the peer has to wait.
 */
#ifndef GL_NET_SOCKET_H
#define GL_NET_SOCKET_H

#include "core/op.h"
#include "net/address.h"
#include "net/stream.h"

#define GL_PEER_MAX (GL_HOST_MAX + 8)

typedef struct gl_socket {
  gl_host *host;
  gl_stream *stream;       /* NULL once the stream is closed */
  struct gl_socket *next;  /* next in a listener's queue */
  gl_buf in;               /* bytes that no task has read yet */
  gl_op *reader, *writer;  /* ops that wait; each stays here until its task has taken the result */
  gl_op *securer;          /* the op that waits for the TLS handshake, in the same way */
  gl_timer linger;         /* closes a stream whose output does not leave after the socket was closed */
  int lingered;            /* seconds since the socket was closed */
  int ended;               /* the status with which reading ended, UV_EOF or an error; 0 = it has not ended */
  uint32_t refs;           /* held by the handle, by the stream and by each op */
  bool closed;             /* this side has closed the socket */
  char peer[GL_PEER_MAX];  /* the other side's address, for messages */
} gl_socket;

/* The user of the streams of sockets (gl_stream_new). */
extern const gl_stream_user gl_socket_user;

/* Makes a socket for a connected stream, with two references: the stream's and the caller's. NULL: out of memory. */
gl_socket *gl_socket_new(gl_host *h, gl_stream *stream);

/* Gives a reference up; the last one frees the socket. */
void gl_socket_unref(gl_socket *s);

/* Pushes an empty handle; the caller stores a socket there, and with it a reference. Raises when memory is out. */
gl_socket **gl_socket_push(lua_State *L);

/* Returns the socket at index 1. Raises if there is none. */
gl_socket *gl_socket_check(lua_State *L);

/* Is the socket open, and used by no task? The other side may have ended. Its stream can then be had: the next user of the stream takes
 * what is in `in`, sets `user` and `owner` before the loop runs again, and then says gl_socket_released: the socket is closed for scripts. */
bool gl_socket_is_free(const gl_socket *s);

/* Is it also so that the other side has not ended, and that nothing has arrived which no task has read? */
bool gl_socket_is_idle(const gl_socket *s);
void gl_socket_released(gl_socket *s);

/* An op that waits for a socket, which it refers to. */
typedef struct gl_socket_op {
  gl_op op;
  gl_socket *s;
  gl_op **slot; /* the member of `s` that points to this op */
  size_t max;   /* of a read: bytes, at most */
} gl_socket_op;

/* Makes an op (gl_op_new) that waits in the given slot of the socket. Raises when memory is out. */
gl_socket_op *gl_socket_wait(lua_State *L, const gl_optype *type, gl_socket *s, gl_op **slot);

/* The `cancel`, `free` and `object` of the optype of a gl_socket_op. */
void gl_socket_cancel(gl_op *op);
void gl_socket_free(gl_op *op);
void gl_socket_object(const gl_op *op, char *out, size_t size);

/* Ends `op` with `status`, unless it is NULL or done already. The op stays in its slot until its task has taken the result, so that
 * no other task comes first. */
void gl_socket_wake(gl_op *op, int status);

/* Raises why the socket cannot be used: it was closed, TLS failed, or else `status`. Never returns. */
int gl_socket_raise(lua_State *L, const char *op, const gl_socket *s, int status);

/* Wakes the op that waits for the handshake: the gl_tls_start.ready of sockets. */
void gl_socket_secured(gl_stream *stream, int status);

/* Creates the class of sockets; call once per host. */
void gl_socket_class(lua_State *L);

#endif
