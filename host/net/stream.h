/* SPDX-License-Identifier: MIT
 *
 * A connected byte stream (TCP or a unix socket). Reads land in the host's scratch buffer and are handed
 * to the user of the stream at once; writes are gathered and leave in one system call at the end of the
 * turn. No function here calls Lua or waits, and all may be used from loop callbacks.
 *
 *     user: data* -> end -> closed          write* -> (full) -> drained
 *
 * A filter (net/tls.h) may sit between the stream and its user, who notices nothing: what arrives goes through it
 * first, and what is written waits in `plain` until it turned it into what leaves.
 */
#ifndef GL_NET_STREAM_H
#define GL_NET_STREAM_H

#include "core/buf.h"
#include "core/bytes.h"
#include "core/host.h"

typedef struct gl_stream gl_stream;

/* What the owner of a stream is told, from the loop. */
typedef struct gl_stream_user {
  void (*data)(gl_stream *s, const char *bytes, size_t n); /* bytes are valid during the call */
  void (*end)(gl_stream *s, int status); /* once: UV_EOF or an error; no data comes after it */
  void (*drained)(gl_stream *s);         /* after gl_stream_full() was true: there is room again */
  void (*closed)(gl_stream *s);          /* the handle is gone; the stream is freed when this returns */
  void (*blocked)(gl_stream *s);         /* the kernel did not take all that was written; NULL: not of interest */
  bool served;                           /* by a server of ours: what a forked child writes is thrown away */
} gl_stream_user;

/* What sits between a stream and its user. */
typedef struct gl_filter {
  void (*received)(gl_stream *s, const char *bytes, size_t n); /* of the wire: hand on with user->data */
  void (*ended)(gl_stream *s, int status);                     /* the wire did: tell with gl_stream_end */
  void (*fill)(gl_stream *s); /* move a piece of `plain` to `out`; once there is none and `finish` is set, its farewell */
  void (*free)(gl_stream *s); /* what `filtering` is */
} gl_filter;

typedef struct gl_write gl_write;
typedef struct gl_segment gl_segment;

struct gl_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  gl_host *host;
  const gl_stream_user *user;
  void *owner;
  const gl_filter *filter; /* NULL: none */
  void *filtering;   /* the filter's own */
  gl_buf plain;      /* with a filter: written and not yet in `out` */
  gl_buf out;        /* to be written at the end of the turn */
  gl_segment *more, *last; /* what is to be written after that */
  size_t more_len;   /* bytes in there */
  gl_write *write;   /* what the kernel did not take at once */
  uint64_t written;  /* bytes the user wrote so far */
  uint64_t taken;    /* bytes the kernel took, but for those of the flight */
  gl_turn_hook turn;
  uint32_t made_in;  /* number of the process (gl_host.process) that made it, */
  uint32_t used_in;  /* and of the one that used it last */
  bool held;    /* by the filter: nothing can leave yet, not even that nothing more will */
  bool reading;
  bool ended;   /* end was told */
  bool hears_out; /* set by the user: a write that fails ends only writing; what the other side said before is still read */
  bool mute;    /* such a write has failed: output is thrown away */
  bool broken;  /* it is of no use any more: output is thrown away */
  bool full;    /* the user was told to wait for drained */
  bool finish;  /* close when everything is written */
  bool half;    /* with finish: only the writing side */
  bool shut;    /* the writing side was shut down: nothing may be written */
  bool closing;
  bool gone;    /* closed was told */
};

#define GL_STREAM_HIGH ((size_t)256 * 1024) /* output waiting beyond this: full */

/* A stream with an unconnected handle for the given address family (AF_INET, AF_INET6, AF_UNIX). Counted in
 * census.handles until it is closed. NULL: out of memory. */
gl_stream *gl_stream_new(gl_host *h, int family, const gl_stream_user *user, void *owner);

/* Is it shared with the parent of this forked child? Whatever was written before the fork is the parent's to send, and so
 * is the end: a close in the child says nothing to the other side. */
static inline bool gl_stream_is_foreign(const gl_stream *s) { return s->made_in != s->host->process; }

/* Begin or stop reading. 0 or UV_E*. Idempotent. */
int gl_stream_read(gl_stream *s);
void gl_stream_pause(gl_stream *s);

/* Queue bytes (copied). False: out of memory, the stream is broken. */
bool gl_stream_write(gl_stream *s, const void *bytes, size_t n);

/* Queue bytes that others send as well: `n` of them from `at` on, which are not copied when there are many. False: out of
 * memory, the stream is broken. */
bool gl_stream_share(gl_stream *s, gl_bytes *bytes, size_t at, size_t n);

/* Room in the output to build bytes in place: at least `n`; say how many were used with gl_stream_wrote. NULL:
 * out of memory. */
char *gl_stream_room(gl_stream *s, size_t n);
void gl_stream_wrote(gl_stream *s, size_t n);

/* Takes back what was written since `written` was `mark`, into a buffer of that size unless it is NULL. False: some of
 * that has left already. */
bool gl_stream_retract(gl_stream *s, uint64_t mark, char *into);

/* Write what is queued now instead of at the end of the turn. */
void gl_stream_flush(gl_stream *s);

/* True while so much output waits that the user should wait for `drained`. */
bool gl_stream_full(gl_stream *s);

/* Bytes written that the kernel has not taken. */
size_t gl_stream_pending(const gl_stream *s);

/* Bytes that reached the other side (TCP: were acknowledged), of all that was written; grows as long as it reads, be it
 * slowly. Asks the kernel. */
uint64_t gl_stream_delivered(const gl_stream *s);

/* Close once the output is written; `half` only shuts down writing, so that the peer can read it all. */
void gl_stream_finish(gl_stream *s, bool half);

/* Close now, dropping output. `closed` follows later. Idempotent. */
void gl_stream_close(gl_stream *s);

/* The same, so that the other side cannot take the end for a regular one (TCP: a reset). */
void gl_stream_reset(gl_stream *s);

/* For filters: the user is told the end, once. Reading is over. */
void gl_stream_end(gl_stream *s, int status);

/* For filters: the stream is of no use any more. What is in `out` leaves if the kernel takes it at once, and the other
 * side reads the end. */
void gl_stream_break(gl_stream *s, int status);

/* For filters: there may be something to send, or `plain` can be moved now. */
void gl_stream_touch(gl_stream *s);

#endif
