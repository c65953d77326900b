/* SPDX-License-Identifier: MIT
 *
 * A listening socket. Accepted streams are handed over in the loop; no function here calls Lua or waits.
 *
 * A connection that cannot be taken now (no descriptor, no memory, no room by its user) stays in the kernel's backlog: the
 * listener looks again when its user says so, or a moment later, and says in the log why clients wait.
 *
 *     WATCHING --starve: no descriptor, no memory--> STARVED --on_retry, 50 ms later--> WATCHING
 *     WATCHING --gl_listener_hold--> HELD --gl_listener_resume--> WATCHING     any --gl_listener_close--> closing --> freed
 *
 *  1. The listening descriptor is polled exactly in WATCHING: neither `held` nor `starved` (both may be set).
 *  2. A connection that accept(2) returned and no stream could be made for stays in `accepted`, and is the next to be handed over.
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
  uv_poll_t poll;
  gl_host *host;
  const gl_listener_user *user;
  void *owner;
  gl_address address;
  char text[GL_ADDRESS_MAX]; /* with the port that was chosen */
  gl_timer retry;            /* armed as long as the listener lives, so that moving it takes no memory */
  uint64_t complained;       /* loop time, ms, of the last complaint; 0 = none yet */
  int fd;                    /* -1 = not open */
  int accepted;              /* a connection there was no memory for; -1 = none */
  bool held;    /* by its user */
  bool starved; /* of descriptors or memory: until `retry` */
  bool closing;
  pid_t bound;  /* whose the unix socket's file is to remove; 0 = nobody's, */
  dev_t device; /* as long as it is this one */
  ino_t inode;
};

/* Binds and listens. 0 and *out, or UV_E*. A stale unix socket file nobody listens on is replaced. */
int gl_listener_open(gl_host *h, const gl_address *address, const gl_listener_user *user, void *owner, gl_listener **out);

/* Let further connections wait in the backlog, or take them again. Idempotent. */
void gl_listener_hold(gl_listener *l);
void gl_listener_resume(gl_listener *l);

/* Does a client wait because there was no room for its connection? A system call, but only while there is none. */
bool gl_listener_keeps_waiting(const gl_listener *l);

/* Say in the log why clients wait or were turned away: at most once in ten seconds. */
void gl_listener_complain(gl_listener *l, const char *why);

/* Stops listening. Idempotent. `drain`: what waits in the backlog is accepted before, held or not. */
void gl_listener_close(gl_listener *l, bool drain);

#endif
