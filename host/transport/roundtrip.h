/* SPDX-License-Identifier: MIT
 *
 * One request and its response, in C memory: what is sent, what came, how long each phase may take, and what went wrong. From SEND
 * to the end it is the user of an exchange (message/exchange.h), and knows nothing of the connection. No function here calls Lua, waits
 * or raises; a waiter or a writer is an op, which gl_op_done wakes.
 *
 *     gl_roundtrip_start --> QUEUE --gl_outbound_dial: a name--> RESOLVE --on_resolved--> CONNECT
 *                              |---gl_outbound_dial: an address-------------------------> CONNECT
 *                              '---gl_outbound_serve: a kept connection--> SEND
 *
 *     CONNECT --gl_outbound_ask_proxy--> PROXY --tunnelled: secure--> TLS --on_secured: gl_roundtrip_begin--> SEND
 *        |-----secure-----------------------------------> TLS
 *        '-----gl_roundtrip_begin---------------------------------------------------------------> SEND
 *
 *     SEND --all_sent--> HEAD --on_head: the final head--> BODY --on_body: complete--> over
 *       |---on_head: the server answers before all is sent--> BODY
 *       '---on_gone: repeat--> QUEUE (HEAD, too)
 *
 *     any --fail: gl_roundtrip_lost, on_gone, gl_roundtrip_abort, on_total, on_limit--> over
 *
 *  1. Each phase has its limit, which on_limit watches; RESOLVE to TLS have one together (`due`); `total` holds for all, with
 *     `streams` only until the head. In SEND, and in a BODY that is collected, the limit begins anew with each step of progress; a
 *     BODY that is streamed has a limit only while a waiter waits for a piece (gl_roundtrip_wait). Neither counts while the next step is
 *     ours: the writer has not given the next piece, and all before it has reached the server.
 *  2. Once `over`, a round trip holds nothing but bytes: no exchange, no attempt, no use of the origin, no timer, no place in line.
 *  3. A waiter is told when the response is complete (with `streams`: its head, then each piece), and when the round trip has failed.
 *  4. A round trip goes back to QUEUE at most once, for a new connection: a kept one was lost before a byte of the response, and to
 *     send the request again is safe (may_repeat).
 *  5. Each call of the carrier may find that the connection is gone, after which the round trip is over or begins anew: look at `x`
 *     again.
 *  6. `x` is set from SEND to BODY; `attempt` is set, at most, from RESOLVE to TLS. What the exchange received goes over to `body`,
 *     `head` and `trailers` when it is released.
 */
#ifndef GL_TRANSPORT_ROUNDTRIP_H
#define GL_TRANSPORT_ROUNDTRIP_H

#include "core/op.h"
#include "message/exchange.h"
#include "transport/pool.h"

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

/* A piece of a body: bytes, which the writer keeps, or a part of a file, which it keeps open. Zeroed memory is none. */
typedef struct gl_upload_piece {
  const char *bytes;
  gl_open_file *file;
  uint64_t at;   /* in the file */
  uint64_t n;
} gl_upload_piece;

/* A request to send. Strings are the caller's, and copied, but for the body. */
typedef struct gl_roundtrip_spec {
  gl_message_head request; /* `length`: of the body. PIECES: GL_LENGTH_UNKNOWN lets trailers follow. NONE: that, or 0 to say that there
                              could be a body. `expect`: the body waits for 100 Continue, or for a second */
  const char *url;      /* for messages */
  gl_upload upload;
  const char *body;     /* BYTES: the caller keeps them until the round trip is over */
  bool streams;         /* the waiter is told at the head, and the response's body is read in pieces */
  bool unencoded_only;  /* only a body without a Content-Encoding is collected, others are streamed */
  gl_roundtrip_limits limits;
} gl_roundtrip_spec;

struct gl_roundtrip {
  gl_pool *pool;
  gl_origin *origin;          /* one use of it is the round trip's; NULL once over */
  gl_roundtrip *model;        /* referenced: has the request's strings; NULL: this round trip has its own */
  gl_outbound *attempt;       /* the connection that is made for it (invariant 6) */
  gl_exchange *x;             /* invariant 6 */
  gl_roundtrip *next, *prev;  /* neighbours in line, while `queued` */
  gl_op *waiter;              /* waits for the response, or for a piece of its body */
  gl_op *taker;               /* reads the body: from its call until it pushed its piece, which is longer than it is `waiter` */
  gl_op *writer;              /* PIECES: waits for room */
  gl_timer total, limit, hold; /* of all phases; of this phase or piece; of the wait for 100 Continue */
  gl_roundtrip_limits limits;
  gl_message_head request;    /* its texts are in `text` */
  gl_head *head;              /* of the response; NULL: it is not complete. `refused`: of the proxy's answer, */
  gl_head *trailers;          /* of the response; NULL: there are none, or the response has not ended */
  gl_buf body;                /* and the beginning of its body. Else, once there is no exchange: bytes of the response's body that were not taken */
  uint64_t due;               /* ns: when RESOLVE to TLS must be done; 0: at any time */
  uint64_t started, marks[GL_PHASES]; /* ns: when the round trip, and each phase, began; 0: the phase did not */
  uint64_t progress;          /* ns: when the phase began, or bytes of the request were last given to the carrier */
  uint64_t headed_at, ended_at; /* ns: when the final head was complete; when the round trip was over */
  gl_upload_piece piece;             /* PIECES: the piece that was not given to the carrier yet */
  int file_error;             /* PIECES: why the file of a piece was not sent to its end, as in gl_exchange; 0: nothing is wrong */
  gl_fields tail;             /* PIECES: the trailers, a copy */
  const char *upload_body;    /* BYTES: the body */
  double patience;            /* seconds that the waiter of a streamed body waits for a piece */
  uint64_t outstanding;       /* bytes of the request that had not reached the server when on_limit looked last */
  uint64_t uploaded;          /* bytes of the body that were given to the carrier */
  uint32_t size;              /* of the whole block */
  uint32_t refs;              /* the caller's of gl_roundtrip_start, each op's that works on this round trip, and each round trip's that has it as `model` */
  gl_upload upload;
  gl_phase phase;
  bool queued;                /* the round trip is in line */
  bool held;                  /* the body waits for 100 Continue */
  bool finishing;             /* PIECES: the last piece was given */
  bool stopped;               /* the server does not want the rest of the request */
  bool streams, unencoded_only; /* as in the spec */
  bool idempotent;            /* the method is one that may be sent twice (RFC 9110, 9.2.2) */
  bool again;                 /* this is the second try */
  bool reused;                /* this try has a kept connection */
  bool headed;                /* the final head of the response is complete */
  bool answered;              /* the waiter has taken the final head */
  bool over;                  /* also before it is started */
  bool refused;               /* the proxy refused a tunnel */
  bool exposed;               /* bytes of the request may have reached the server */
  gl_phase failed_in;         /* the phase in which the round trip failed */
  int status;                 /* UV_E* when it failed, else 0 */
  const char *code;           /* the error's code when it is not that of `status`, else NULL */
  const char *url, *method;   /* in text */
  char remote[GL_ADDRESS_MAX]; /* the address of the connection's other end; "": no connection yet */
  char why[256];              /* what went wrong, for people */
  gl_field fields[];          /* without a model, of the request; behind them the text: url, method, target, authority, names and values */
};

/* The user's functions, for the carriers of a client: the exchange's own bytes are a pointer to the round trip. */
extern const gl_exchange_user gl_roundtrip_user;

/* Makes a round trip with one reference, the caller's. It has no origin yet. NULL: out of memory. (roundtrip_new.c) */
gl_roundtrip *gl_roundtrip_new(gl_pool *p, const gl_roundtrip_spec *spec);

/* Makes a round trip with one reference, the caller's, and the request, the limits and the origin of another one, which has no body and is
 * never started itself. NULL: out of memory. (roundtrip_new.c) */
gl_roundtrip *gl_roundtrip_again(gl_roundtrip *model);

/* Starts it, towards its origin, of which one use is the round trip's. The waiter (NULL: none yet) may be told before this returns,
 * since the round trip may be over by then. */
void gl_roundtrip_start(gl_roundtrip *rt, gl_op *waiter);

/* ---- for ops ---- */

/* Sets the waiter for the response, or for the next piece of its body. The waiter is told now or later; after `seconds` without news
 * the round trip fails with UV_ETIMEDOUT. Call when there is no other waiter. */
void gl_roundtrip_wait(gl_roundtrip *rt, gl_op *waiter, double seconds);

/* Forgets the waiter, which is not told. */
void gl_roundtrip_leave(gl_roundtrip *rt);

/* Returns the bytes of the response's body that came and were not taken. */
static inline const gl_buf *gl_roundtrip_body(const gl_roundtrip *rt) { return rt->x ? &rt->x->body : &rt->body; }

/* Frees these bytes, which were taken, and lets more come. */
void gl_roundtrip_eat(gl_roundtrip *rt);

/* Ends the round trip with UV_E* and a reason (NULL: that of the code): tells the waiter and the writer, and closes the connection.
 * Harmless when the round trip is over. */
void gl_roundtrip_abort(gl_roundtrip *rt, int status, const char *why);

/* The same, since the program ends: no op is told. */
void gl_roundtrip_quit(gl_roundtrip *rt);

/* Drops a reference; the last one aborts and frees. */
void gl_roundtrip_unref(gl_roundtrip *rt);

/* May the request be sent again when it may have reached the server? */
static inline bool gl_roundtrip_is_repeatable(const gl_roundtrip *rt) { return rt->idempotent && rt->upload != GL_UPLOAD_PIECES; }

/* ---- the body of the request (upload.c) ---- */

/* PIECES: writes the next piece (zeroed: none, the writer waits for 100 Continue), which the writer keeps until it is told: 0, there is
 * room for more; UV_EPIPE, the server wants no more; another UV_E*, the round trip failed, or, with `file_error`, the file. Call when
 * there is no other writer. */
void gl_roundtrip_write(gl_roundtrip *rt, gl_op *writer, gl_upload_piece piece);

/* PIECES: ends the body; `trailers` are copied, and sent if the length was unknown. False: out of memory. */
bool gl_roundtrip_finish(gl_roundtrip *rt, const gl_fields *trailers);

/* Sends the body, now or after 100 Continue; call when the head was sent. */
void gl_roundtrip_send_body(gl_roundtrip *rt);

/* Goes on with a body that waited for 100 Continue. Harmless when it did not wait. */
void gl_roundtrip_go_on(gl_roundtrip *rt);

/* Goes on with the body, as far as there is room. Harmless when there is nothing to send. */
void gl_roundtrip_pump(gl_roundtrip *rt);

/* Gives up the rest of the body, which the server does not want; the connection cannot be used again then. */
void gl_roundtrip_stop_sending(gl_roundtrip *rt);

/* Tells the writer, if there is one, and forgets its piece. */
void gl_roundtrip_wake_writer(gl_roundtrip *rt, int status);

/* ---- for connections ---- */

/* Enters a phase, which began at `now`, in ns, and arms its limit. Without memory for the timer the round trip is over when this returns. */
void gl_roundtrip_enter(gl_roundtrip *rt, gl_phase phase, uint64_t now);

/* Sends the request by an exchange, which is the round trip's from now on, and may be released when this returns. `kept`: its
 * connection has served others. `remote`: the address of the other end, copied. */
void gl_roundtrip_begin(gl_roundtrip *rt, gl_exchange *x, bool kept, const char *remote);

/* Lets the limit of the phase be over in `seconds` at the latest. False: out of memory. */
bool gl_roundtrip_hasten(gl_roundtrip *rt, double seconds);

/* Takes note that the proxy refused the attempt a tunnel: the head and the bytes, of which the round trip is the owner now, are its answer's. */
void gl_roundtrip_refused(gl_roundtrip *rt, gl_head *head, const gl_buf *body, const char *why);

/* Takes note that the attempt has failed, by UV_EOF or another UV_E*. `code` and `why`: the error's, for people; NULL: those of
 * `status`. */
void gl_roundtrip_lost(gl_roundtrip *rt, int status, const char *code, const char *why);

#endif
