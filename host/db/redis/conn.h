/* SPDX-License-Identifier: MIT
 *
 * A connection to Redis: commands go out in the order in which tasks call, and replies come back in that order, so that any number of
 * tasks share one connection, and what they send in one turn leaves in one system call (the stream gathers it). What the server says
 * unasked (a message, an invalidated key) is a push, and waits for the one task that receives those.
 *
 *     open --gl_redis_conn_fail: the server's end, an error, what is no RESP, silence--> failed --on_closed--> gone
 *       '----gl_redis_conn_fail(ECANCELED): close, or no script refers to it-----------> failed --on_closed--> gone
 *
 *  1. `calls` are the commands whose replies are outstanding, oldest first; a task that has stopped waiting leaves its op there, as
 *     the reply comes all the same.
 *  2. While `status` is 0 every call is in `calls` and the receiver is in `receiver`; what sets `status` ends them all.
 *  3. `in` holds the beginning of a reply that is not whole, and `scan` says how far that was looked at; else both are empty.
 *  4. A connection that was made before a fork is the parent's: the child never writes to it.
 */
#ifndef GL_DB_REDIS_CONN_H
#define GL_DB_REDIS_CONN_H

#include "core/buf.h"
#include "core/op.h"
#include "db/redis/resp.h"
#include "net/stream.h"

#define GL_REDIS_PEER 80

typedef struct gl_redis_conn {
  gl_host *host;
  gl_stream *stream;    /* NULL once it is gone */
  gl_opqueue calls;     /* of gl_redis_op */
  gl_op *receiver;      /* of gl_redis_op; NULL: nobody waits for a push */
  gl_buf in;
  gl_resp scan;
  gl_buf pushed;        /* pushes that nobody has received yet, each after its length (size_t) */
  size_t max_reply;     /* bytes */
  uint64_t heard;       /* loop time, ms, at which bytes came last */
  int status;           /* 0: open; else why it failed, a UV_E* */
  uint32_t refs;        /* of the script's handle, the stream and each op */
  bool listening;       /* all that comes is a push: the connection is for subscriptions (in RESP2 nothing else tells a message) */
  char peer[GL_REDIS_PEER];
} gl_redis_conn;

/* What waits for replies, or for a push. */
typedef struct gl_redis_op {
  gl_op op;
  gl_redis_conn *conn;  /* referenced */
  gl_buf replies;       /* those that came */
  uint32_t expected;    /* number of replies that end the op */
  uint32_t got;
  char name[24];        /* of the command, as it was written, cut */
} gl_redis_op;

/* Takes a connected stream over. NULL: out of memory, and the stream is as it was. The reference is the caller's. */
gl_redis_conn *gl_redis_conn_new(gl_host *h, gl_stream *stream, const char *peer, size_t max_reply);
void gl_redis_conn_unref(gl_redis_conn *c);

/* Can commands still be sent? False in a forked child of the process that made it. A connection whose oldest call is `patience` seconds old
 * while not a byte has come in that time is given up here. */
bool gl_redis_conn_alive(gl_redis_conn *c, double patience);

/* Ends it: all that wait for it are done with this status. Idempotent. */
void gl_redis_conn_fail(gl_redis_conn *c, int status);

/* Puts an op whose command was written at the end of `calls`. */
void gl_redis_conn_expect(gl_redis_conn *c, gl_redis_op *op, uint32_t replies);

/* Makes the op the receiver; a push that is there already ends it at once. There is none yet. */
void gl_redis_conn_receive(gl_redis_conn *c, gl_redis_op *op);

#endif
