/* SPDX-License-Identifier: MIT
 *
 * One request and its response, in C memory: what is sent, what came, how long each step may take, and what went wrong.
 *
 *     start --> QUEUE --> RESOLVE --> CONNECT --> [PROXY] --> [TLS] --> SEND --> HEAD --> BODY --> over
 *                 |                                                      ^
 *                 +--------- a kept connection ---------------------------+
 *
 *  1. A phase has its limit; the connecting phases have one together; `total` holds for all (with `streams`: until the head).
 *  2. Once `over`, nothing is held but bytes: no connection, no timer, no place in line.
 *  3. A waiter is told when the answer is complete (with `streams`: its head), and when it is over.
 *  4. It goes back to the start at most once, with a new connection: the kept one had died before a byte of an answer, and
 *     sending again is safe.
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
  double phase[GL_PHASES]; /* seconds; GL_FOREVER = none. Of SEND and BODY: between two steps of progress */
  double connecting;       /* RESOLVE to TLS together */
  double total;
  size_t max_body;         /* bytes to collect at most */
  gl_head_limits head;
} gl_roundtrip_limits;

typedef enum gl_upload { GL_UPLOAD_NONE, GL_UPLOAD_BYTES, GL_UPLOAD_PIECES } gl_upload;

/* What to send. Strings are the caller's, and copied, but for the body. */
typedef struct gl_roundtrip_spec {
  const char *head;     /* request line and fields, as they go out */
  size_t head_len;
  const char *method;   /* for messages and for what is safe */
  const char *url;      /* for messages */
  gl_upload upload;
  const char *body;     /* BYTES: to stay until it is over or was freed */
  size_t body_len;
  int64_t length;       /* PIECES: how many bytes they will be; -1 = chunked */
  bool expect;          /* the body waits for 100 Continue, or a second */
  bool streams;         /* tell the waiter at the head; the body is read in pieces */
  bool unencoded_only;  /* collect only a body without a Content-Encoding; stream others */
  gl_roundtrip_limits limits;
} gl_roundtrip_spec;

struct gl_roundtrip {
  gl_pool *pool;
  gl_origin *origin;          /* used; NULL once over */
  gl_outbound *conn;          /* NULL: none yet, or no more */
  gl_roundtrip *next, *prev;  /* in line */
  gl_op *waiter;              /* for the answer, or for a piece of it */
  gl_op *taker;               /* reads the body: from the call until it has its piece, which is longer than it waits */
  gl_op *writer;              /* PIECES: for room */
  gl_timer total, limit, hold;
  gl_roundtrip_limits limits;
  gl_response_reader reader;
  gl_head *head;              /* of the response; NULL before it is needed */
  gl_buf body;                /* of the response, what nobody has taken yet */
  uint64_t due;               /* ns: when all of connecting has to be done; 0 = any time */
  uint64_t started, marks[GL_PHASES]; /* ns: when phases began; 0 = did not */
  uint64_t progress;          /* ns: when bytes last moved */
  uint64_t headed_at, ended_at; /* ns */
  const char *piece;          /* PIECES: the one that was not written yet; its writer keeps it */
  size_t piece_len;
  gl_buf tail;                /* PIECES: what comes after the last one */
  const char *upload_body;
  size_t upload_len, uploaded;
  uint32_t head_len, size;    /* of the head in text; of the whole block */
  uint16_t refs;              /* its owner's, and of ops that read from it */
  gl_upload upload;
  gl_phase phase;
  bool queued;                /* it is in line */
  bool chunked;               /* PIECES without a length */
  bool expect, held;          /* the body waits for 100 Continue */
  bool sent;                  /* all of the request was written */
  bool finishing;             /* PIECES: the last one was given */
  bool stopped;               /* the rest of it is not wanted */
  bool streams, unencoded_only;
  bool head_only, idempotent;
  bool again;                 /* this is the second try */
  bool reused;                /* on a kept connection */
  bool headed;                /* the head of the response is complete */
  bool has_length;            /* ... and says how long the body is */
  bool answered;              /* ... and was taken by its waiter */
  bool paused;                /* the body waits until what came of it is taken */
  bool over;
  bool exposed;               /* bytes of the request may have reached the server */
  gl_phase failed_in;
  int status;                 /* UV_E* when it failed, or 0 */
  const char *code;           /* ... and the code for people, when it is not that of `status` */
  const char *url, *method;   /* in text */
  char remote[GL_ADDRESS_MAX];
  char why[256];              /* what went wrong */
  char text[];                /* url, method, head */
};

/* A round trip to an origin, whose use it takes over; in line or under way, or over when that failed. The waiter is set at
 * once: it may be told before this returns. NULL: out of memory; the use is given back. */
gl_roundtrip *gl_roundtrip_start(gl_origin *o, const gl_roundtrip_spec *spec, gl_op *waiter);

/* ---- for whoever waits ---- */

/* The waiter wants the answer, or the next piece of its body: it is told now, or later, or after `seconds` without one. */
void gl_roundtrip_wait(gl_roundtrip *rt, gl_op *waiter, double seconds);

/* The waiter waits no more, without being told. */
void gl_roundtrip_leave(gl_roundtrip *rt);

/* The bytes in `body` were taken. */
void gl_roundtrip_eat(gl_roundtrip *rt);

/* Ends it: whoever waits is told, its connection is closed. Harmless when over. */
void gl_roundtrip_abort(gl_roundtrip *rt, int status, const char *why);

void gl_roundtrip_unref(gl_roundtrip *rt);

/* ---- the body of the request (upload.c) ---- */

/* PIECES: the next one, which stays until the writer is told (0: there is room for more; UV_EPIPE: nobody wants it). */
void gl_roundtrip_write(gl_roundtrip *rt, gl_op *writer, const char *bytes, size_t n);

/* PIECES: that was the last; `trailers` are field lines. False: out of memory. */
bool gl_roundtrip_finish(gl_roundtrip *rt, const char *trailers, size_t n);

/* The head was written: now the body, or after 100 Continue. */
void gl_roundtrip_send_body(gl_roundtrip *rt);

/* There is room again. */
void gl_roundtrip_pump(gl_roundtrip *rt);

/* The rest of the body is not wanted. */
void gl_roundtrip_stop_sending(gl_roundtrip *rt);

/* A writer, if there is one, is told. */
void gl_roundtrip_wake_writer(gl_roundtrip *rt, int status);

/* ---- for connections ---- */

void gl_roundtrip_enter(gl_roundtrip *rt, gl_phase phase);

/* It has a connection, on which it writes. */
void gl_roundtrip_begin(gl_roundtrip *rt, gl_outbound *c);

/* Bytes arrived; returns how many of them are its. The connection may be another's, or closed, after it. */
void gl_roundtrip_data(gl_roundtrip *rt, const char *bytes, size_t n);

/* Its connection has ended: by EOF (UV_EOF) or an error. `code` and `why` may be NULL. */
void gl_roundtrip_lost(gl_roundtrip *rt, int status, const char *code, const char *why);

#endif
