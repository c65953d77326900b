/* SPDX-License-Identifier: MIT
 *
 * One client connection of the HTTP/1.1 server, and the one request it is busy with. Requests of a
 * connection are answered one after the other, in order; what arrives early waits in `in`.
 *
 *     HEAD --head complete--> RUN --answered, body read--> HEAD ...
 *                              |--answered, body unread--> DRAIN --> HEAD
 *                              '--last answer, or refused--> LINGER --> closed
 *
 * Nothing here calls Lua, but for the task whose end is told to on_end.
 */
#ifndef GL_HTTP_CONN_H
#define GL_HTTP_CONN_H

#include "core/op.h"
#include "h1/reader.h"
#include "net/stream.h"

typedef struct gl_server gl_server;
typedef struct gl_conn gl_conn;
typedef struct gl_request gl_request;

typedef enum gl_conn_state { GL_CONN_HEAD, GL_CONN_RUN, GL_CONN_DRAIN, GL_CONN_LINGER } gl_conn_state;

/* What the protocol that took a connection's stream over is told. */
typedef struct gl_takeover {
  void (*retire)(void *proto);            /* the server stops: say goodbye */
  void (*abort)(void *proto);             /* close now */
  void (*over)(void *proto, bool failed); /* the request's task ended: `proto` is not used after that and gl_conn_stream_closed */
  bool (*excuses)(void *proto);           /* is it no fault of the task's that it was cancelled, or could not send? */
} gl_takeover;

struct gl_conn {
  gl_server *server;
  gl_conn *next, **at; /* in the server's list */
  gl_stream *stream;   /* NULL once it is gone or was taken over */
  gl_h1_reader reader; /* its head: being read; then of the request in progress, until the request takes it */
  gl_buf in;           /* received, not parsed yet */
  bool body_refused;   /* there was no memory for it */
  gl_buf body;         /* received, not read by the handler yet */
  gl_task *task;       /* answers the request in progress */
  gl_request *req;     /* that request in Lua, once it was made */
  gl_op *waiter;       /* waits for the body */
  size_t reader_wants; /* more than so many bytes of it, or its end */
  gl_op *writer;       /* waits for room in the output */
  uint64_t deadline;   /* loop time, ms: what the state waits for must have come by then */
  uint64_t body_waited;   /* ms it was waited for so far, */
  uint64_t waiting_since; /* up to this loop time, ms */
  uint64_t owed;       /* bytes a streamed answer of known length still has to write */
  uint64_t delivered;  /* while `blocked`: output that had reached the client when it was last looked at */
  uint64_t write_deadline; /* loop time, ms: more of it must have by then */
  uint64_t response_at; /* where in the stream's output a streamed answer begins */
  char *held;          /* the head of a streamed answer that has written nothing yet; NULL = none */
  uint32_t held_len;
  const struct gl_takeover *takeover; /* who took the stream over */
  void *proto;
  uint8_t state;       /* gl_conn_state */
  uint8_t minor;       /* HTTP version of the request in progress */
  bool fresh;          /* no request came yet: when the server stops, the first one is still answered */
  bool head_only;      /* a HEAD request */
  bool body_busy;      /* a task reads it, or was told to and did not yet */
  bool responded;      /* the answer's head is out, or held */
  bool streaming;      /* the answer's body is being written piece by piece */
  bool chunked;        /* in chunks */
  bool counted;        /* of a length that was announced: `owed` */
  bool wants_continue; /* the client waits for 100 Continue */
  bool close_after;    /* this answer is the last one */
  bool eof;            /* the client will send nothing more */
  bool timed_out;      /* the request's time is over: it is being cancelled */
  bool blocked;        /* the kernel did not take all output: the write clock runs */
  bool stalled;        /* between requests: the client does not take its answers */
  bool cancel_on_disconnect; /* cancel the request when the client goes away */
  bool cancel_chosen;  /* somebody said so, or said no */
  bool deserted;       /* the client left, by the word of who took the stream over */
  int error_ref;       /* registry: what the task that answers a failure will take; 0 = none */
  bool failed;         /* the request failed: its task is the one that answers this */
  bool left;           /* the stream that was taken over is closed */
};

extern const gl_stream_user gl_conn_user;

/* A connection for an accepted stream; it belongs to the server's list. False: out of memory. */
bool gl_conn_new(gl_server *server, gl_stream *stream);

/* The body was read, or `bytes` of it taken: let more come. Sends 100 Continue when that is waited for. */
void gl_conn_want_body(gl_conn *c);

/* Cancel the request's task when its client goes away, also when it is gone already. */
void gl_conn_set_cancel_on_disconnect(gl_conn *c, bool cancel_on_disconnect);

/* The same for what is about its client, unless somebody said otherwise. */
void gl_conn_default_cancel_on_disconnect(gl_conn *c);

/* The same for the stream of a response; a `live` one is cancelled also when the client has said before that it will send no more. */
void gl_conn_streams(gl_conn *c, bool live);

/* Whoever took the stream over says: the client has left. Cancels the request's task, if that is wanted. */
void gl_conn_peer_gone(gl_conn *c);

/* Hand the stream to another protocol. The bytes already received are moved to *rest. The connection
 * lives on, without a stream, until its task has ended (`over`) and the protocol has called gl_conn_stream_closed. */
gl_stream *gl_conn_take(gl_conn *c, gl_buf *rest, const gl_takeover *takeover, void *proto);

/* The stream that was taken is closed. */
void gl_conn_stream_closed(gl_conn *c);

/* Close it now, whatever it does; a request in progress is cancelled. */
void gl_conn_abort(gl_conn *c);

/* The server stops: close when idle, else after the answer in progress; with `fresh`, one that got no request yet after that. */
void gl_conn_shutdown(gl_conn *c, bool fresh);

/* Called by the server now and then: act on a deadline that passed. False: there was nothing to do. */
bool gl_conn_sweep(gl_conn *c, uint64_t now);

#endif
