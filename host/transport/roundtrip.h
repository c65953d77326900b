/* SPDX-License-Identifier: MIT
 *
 * One request and its response, in C memory: what is sent, what came, how long each phase may take, and what went wrong. No
 * function here calls Lua, waits or raises; a waiter or a writer is an op, which gl_op_done wakes.
 *
 *     gl_roundtrip_start --> QUEUE --gl_outbound_dial: a name--> RESOLVE --on_resolved--> CONNECT
 *                              |---gl_outbound_dial: an address-------------------------> CONNECT
 *                              '---gl_outbound_serve: a kept connection--> SEND
 *
 *     CONNECT --ask_proxy--> PROXY --tunnelled: secure--> TLS --on_secured: gl_roundtrip_begin--> SEND
 *        |-----secure-----------------------------------> TLS
 *        '-----gl_roundtrip_begin---------------------------------------------------------------> SEND
 *
 *     SEND --all_sent--> HEAD --gl_roundtrip_data: the final head is complete--> BODY --gl_roundtrip_data: complete--> over
 *       |---gl_roundtrip_data: the server answers before all is sent----------> BODY
 *       '---gl_roundtrip_lost: repeat--> QUEUE (HEAD, too)
 *
 *     any --fail: gl_roundtrip_lost, gl_roundtrip_abort, on_total, on_limit, refuse_answer--> over
 *
 *  1. Each phase has its limit, which on_limit watches; RESOLVE to TLS have one together (`due`); `total` holds for all, with
 *     `streams` only until the head. In SEND, and in a BODY that is collected, the limit begins anew with each step of progress; a
 *     BODY that is streamed has a limit only while a waiter waits for a piece (gl_roundtrip_wait).
 *  2. Once `over`, a round trip holds nothing but bytes: no connection, no use of the origin, no timer, no place in line.
 *  3. A waiter is told when the response is complete (with `streams`: its head, then each piece), and when the round trip has failed.
 *  4. A round trip goes back to QUEUE at most once, for a new connection: a kept one was lost before a byte of the response, and to
 *     send the request again is safe (may_repeat).
 *  5. Each write may break the connection, after which the round trip is over or begins anew: look at `conn` again.
 */
#ifndef GL_TRANSPORT_ROUNDTRIP_H
#define GL_TRANSPORT_ROUNDTRIP_H

#include "core/op.h"
#include "transport/outbound.h"

typedef enum gl_phase {
  GL_PHASE_QUEUE, GL_PHASE_RESOLVE, GL_PHASE_CONNECT, GL_PHASE_PROXY, GL_PHASE_TLS, GL_PHASE_SEND, GL_PHASE_HEAD, GL_PHASE_BODY,
  GL_PHASES
} gl_phase;

typedef struct gl_roundtrip_limits {
  double phase[GL_PHASES]; /* seconds; GL_FOREVER: no limit. Of SEND and BODY: between two steps of progress */
  double connecting;       /* seconds for RESOLVE to TLS together */
  double total;            /* seconds for all phases (invariant 1) */
  size_t max_body;         /* bytes to collect at most */
  gl_head_limits head;
} gl_roundtrip_limits;

typedef enum gl_upload { GL_UPLOAD_NONE, GL_UPLOAD_BYTES, GL_UPLOAD_PIECES } gl_upload;

/* A request to send. Strings are the caller's, and copied, but for the body. */
typedef struct gl_roundtrip_spec {
  const char *head;     /* request line and fields, as they go out */
  size_t head_len;
  const char *method;   /* for messages, and to tell whether the request may be sent again */
  const char *url;      /* for messages */
  gl_upload upload;
  const char *body;     /* BYTES: the caller keeps them until the round trip is over */
  size_t body_len;
  int64_t length;       /* PIECES: how many bytes the pieces have together; -1: unknown, the body is chunked */
  bool expect;          /* the body waits for 100 Continue, or for a second */
  bool streams;         /* the waiter is told at the head, and the response's body is read in pieces */
  bool unencoded_only;  /* only a body without a Content-Encoding is collected, others are streamed */
  gl_roundtrip_limits limits;
} gl_roundtrip_spec;

struct gl_roundtrip {
  gl_pool *pool;
  gl_origin *origin;          /* one use of it is the round trip's; NULL once over */
  gl_outbound *conn;          /* NULL: none yet, or not any more */
  gl_roundtrip *next, *prev;  /* neighbours in line, while `queued` */
  gl_op *waiter;              /* waits for the response, or for a piece of its body */
  gl_op *taker;               /* reads the body: from its call until it pushed its piece, which is longer than it is `waiter` */
  gl_op *writer;              /* PIECES: waits for room */
  gl_timer total, limit, hold; /* of all phases; of this phase or piece; of the wait for 100 Continue */
  gl_roundtrip_limits limits;
  gl_response_reader reader;
  gl_head *head;              /* of the response; NULL before the first connection */
  gl_buf body;                /* bytes of the response's body that came and were not taken */
  uint64_t due;               /* ns: when RESOLVE to TLS must be done; 0: at any time */
  uint64_t started, marks[GL_PHASES]; /* ns: when the round trip, and each phase, began; 0: the phase did not */
  uint64_t progress;          /* ns: when bytes last moved */
  uint64_t headed_at, ended_at; /* ns: when the final head was complete; when the round trip was over */
  const char *piece;          /* PIECES: the piece that was not written yet; its writer keeps the bytes. NULL: none */
  size_t piece_len;
  gl_buf tail;                /* PIECES: the last chunk and the trailers */
  const char *upload_body;    /* BYTES: the body */
  size_t upload_len, uploaded; /* BYTES: of the body; bytes that were given to the stream */
  uint32_t head_len, size;    /* of the request's head in text; of the whole block */
  uint16_t refs;              /* the caller's of gl_roundtrip_start, and each op's that works on this round trip */
  gl_upload upload;
  gl_phase phase;
  bool queued;                /* the round trip is in line */
  bool chunked;               /* PIECES without a length */
  bool expect, held;          /* the body is to wait for 100 Continue; it waits now */
  bool sent;                  /* all of the request was given to the stream */
  bool finishing;             /* PIECES: the last piece was given */
  bool stopped;               /* the server does not want the rest of the request */
  bool streams, unencoded_only; /* as in the spec */
  bool head_only, idempotent; /* the method is HEAD; is one that may be sent twice (RFC 9110, 9.2.2) */
  bool again;                 /* this is the second try */
  bool reused;                /* this try has a kept connection */
  bool headed;                /* the final head of the response is complete */
  bool has_length;            /* the final head says how long the body is */
  bool answered;              /* the waiter has taken the final head */
  bool paused;                /* the stream is not read until the bytes in `body` are taken */
  bool over;
  bool exposed;               /* bytes of the request may have reached the server */
  gl_phase failed_in;         /* the phase in which the round trip failed */
  int status;                 /* UV_E* when it failed, else 0 */
  const char *code;           /* the error's code when it is not that of `status`, else NULL */
  const char *url, *method;   /* in text */
  char remote[GL_ADDRESS_MAX]; /* the address of the connection's other end; "": no connection yet */
  char why[256];              /* what went wrong, for people */
  char text[];                /* url, method, head */
};

/* Starts a round trip to an origin, whose use it takes over; the reference is the caller's. The waiter (NULL: none yet) may be told
 * before this returns, since the round trip may be over by then. NULL: out of memory; the use was given back. */
gl_roundtrip *gl_roundtrip_start(gl_origin *o, const gl_roundtrip_spec *spec, gl_op *waiter);

/* ---- for ops ---- */

/* Sets the waiter for the response, or for the next piece of its body. The waiter is told now or later; after `seconds` without news
 * the round trip fails with UV_ETIMEDOUT. Call when there is no other waiter. */
void gl_roundtrip_wait(gl_roundtrip *rt, gl_op *waiter, double seconds);

/* Forgets the waiter, which is not told. */
void gl_roundtrip_leave(gl_roundtrip *rt);

/* Frees the bytes in `body`, which were taken, and lets more come. */
void gl_roundtrip_eat(gl_roundtrip *rt);

/* Ends the round trip with UV_E* and a reason (NULL: that of the code): tells the waiter and the writer, and closes the connection.
 * Harmless when the round trip is over. */
void gl_roundtrip_abort(gl_roundtrip *rt, int status, const char *why);

/* Drops a reference; the last one aborts and frees. */
void gl_roundtrip_unref(gl_roundtrip *rt);

/* ---- the body of the request (upload.c) ---- */

/* PIECES: writes the next piece, which the writer keeps until it is told: 0, there is room for more; UV_EPIPE, the server wants no
 * more; another UV_E*, the round trip failed. Call when there is no other writer. */
void gl_roundtrip_write(gl_roundtrip *rt, gl_op *writer, const char *bytes, size_t n);

/* PIECES: ends the body; `trailers` are field lines as they are sent, which only a chunked body can have. False: out of memory. */
bool gl_roundtrip_finish(gl_roundtrip *rt, const char *trailers, size_t n);

/* Sends the body, now or after 100 Continue; call when the head was written. */
void gl_roundtrip_send_body(gl_roundtrip *rt);

/* Goes on with the body, as far as there is room. Harmless when there is nothing to send. */
void gl_roundtrip_pump(gl_roundtrip *rt);

/* Gives up the rest of the body, which the server does not want; the connection cannot be used again then. */
void gl_roundtrip_stop_sending(gl_roundtrip *rt);

/* Tells the writer, if there is one, and forgets its piece. */
void gl_roundtrip_wake_writer(gl_roundtrip *rt, int status);

/* ---- for connections ---- */

/* Enters a phase, and arms its limit. Without memory for the timer the round trip is over when this returns. */
void gl_roundtrip_enter(gl_roundtrip *rt, gl_phase phase);

/* Writes the request on a connection that is ready. The round trip may be over, and the connection closed, when this returns. */
void gl_roundtrip_begin(gl_roundtrip *rt, gl_outbound *c);

/* Reads bytes that arrived on the connection, which may be closed, idle or another's when this returns. Bytes behind the response
 * close the connection. */
void gl_roundtrip_data(gl_roundtrip *rt, const char *bytes, size_t n);

/* Takes note that the connection has ended, by UV_EOF or another UV_E*: the response is complete by that, or the request is sent
 * again, or the round trip fails. `code` and `why`: the error's, for people; NULL: those of `status`. */
void gl_roundtrip_lost(gl_roundtrip *rt, int status, const char *code, const char *why);

#endif
