/* SPDX-License-Identifier: MIT
 *
 * One client connection of the HTTP/1.1 server: the carrier (message/exchange.h) of one exchange after the other, in order.
 * What a client sends before its last request was answered waits in r->in. No function here calls Lua, waits, or knows a task.
 *
 *                    next_request: the client does not take its answers
 *                STALLED <-----------------------------------.
 *                   '------on_drained: next_request-----.    |
 *                                                       v    |
 *     gl_conn_new --> HEAD --begin: a head is complete--> RUN --conn_release: conclude, all was read--> HEAD
 *                      |                                  | |--conclude, the body was not read--> DRAIN --feed_body: its end--> HEAD
 *                      |                                  | '--conclude, the last answer--> LINGER
 *                      |                                  '--conn_take--> TAKEN --conn_release--> LEFT --conn_stream_closed--> freed
 *                      |                                                    '--conn_stream_closed--> RUN, without a stream
 *                      |--refuse (bad head, too late)--> LINGER --the client's end, or the deadline--> closed
 *                      '--the preface of HTTP/2, or TLS has agreed on it--> H2: http/h2.h goes on from here
 *
 * From any state gl_stream_close and then on_closed lead out: the connection is freed, in RUN once the exchange is released.
 *
 *     file         its part
 *     conn.c       life, and the edges between the states
 *     conn_in.c    bytes to heads and bodies, the peer's end, time for a body
 *     conn_out.c   messages to bytes
 *     conn_clock.c what a deadline that passed means, and whether the client takes what is written
 *
 * 1. `state` is RUN or TAKEN exactly while the exchange has a user.
 * 2. `stream` is NULL only in TAKEN and LEFT, in RUN once it closed, and while the connection is freed.
 * 3. `r` is NULL in HEAD before the first byte of a head, so that an idle connection weighs little, and in what HEAD leads to then;
 *    a connection with early bytes keeps it. r->reader.head is NULL in RUN once the exchange has it (r->x.head). In H2 there is `h2` instead.
 * 4. r->x.in follows r->reader.state: gl_conn_begin and gl_conn_set_in see to that.
 * 5. The stream throws away what is written while the peer is gone; no function here asks first.
 * 6. `deadline` is of the state: HEAD header_timeout, or keepalive_timeout before the first byte; RUN request_timeout, or the
 *    body's time while the user waits for the body; DRAIN body_timeout; LINGER 2 s, or write_timeout. While `blocked`, the write
 *    clock runs beside the deadline in RUN and while the reader has a head, and instead of the deadline otherwise.
 */
#ifndef GL_HTTP_CONN_H
#define GL_HTTP_CONN_H

#include "core/check.h"
#include "h1/reader.h"
#include "message/body_out.h"
#include "message/exchange.h"
#include "net/proxy_header.h"

typedef struct gl_server gl_server;
typedef struct gl_conn gl_conn;

typedef enum gl_conn_state {
  GL_CONN_HEAD, GL_CONN_STALLED, GL_CONN_RUN, GL_CONN_TAKEN, GL_CONN_LEFT, GL_CONN_DRAIN, GL_CONN_LINGER, GL_CONN_H2
} gl_conn_state;

/* What a connection has for one request and its answer. */
typedef struct gl_conn_request {
  union {
    gl_conn *conn;
    struct gl_conn_request *next; /* in the server's list of spare ones */
  };
  gl_h1_reader reader;
  gl_buf in;                /* received, not read yet */
  uint64_t body_waited;     /* ms the user waited for the body, up to waiting_since */
  uint64_t waiting_since;   /* loop time, ms */
  uint64_t answer_at;       /* where in the stream's output the answer begins */
  gl_body_out out;          /* of the answer */
  char *held;               /* the head of an answer, not written yet; NULL: none */
  uint32_t held_len;
  bool wants_continue;      /* the client waits for 100 Continue */
  gl_exchange x;            /* the last member: its user's bytes follow */
} gl_conn_request;

struct gl_conn {
  gl_server *server;
  gl_conn *next, **at;      /* in the server's list */
  gl_stream *stream;
  union {
    gl_conn_request *r;     /* NULL: none, as the connection is idle or fresh */
    struct gl_h2 *h2;       /* in H2 */
  };
  uint64_t deadline;        /* loop time, ms: what the state waits for must have come by then */
  uint64_t delivered;       /* while `blocked`: output that had reached the client at the last look */
  uint64_t write_deadline;  /* while `blocked`: loop time, ms, by which more must have reached the client */
  uint8_t state;            /* gl_conn_state */
  bool fresh;               /* no request came yet: a server that stops may still answer the first one */
  bool eof;                 /* the client will send nothing more */
  bool close_after;         /* this answer is the last one */
  bool blocked;             /* the kernel did not take all output: the write clock runs */
  bool announced;           /* a proxy said for whom it connects: `client` is set */
  gl_proxied client[];      /* of a connection that begins with a PROXY header: one, what it says */
};

extern const gl_stream_user gl_conn_user;

/* Makes the connection of an accepted stream, reads from the stream, and enters the server's list, which owns the connection.
 * `behind`: the connection will begin with a PROXY header. False: out of memory, and the stream is still the caller's. */
bool gl_conn_new(gl_server *server, gl_stream *stream, bool behind);

/* Takes note of what the PROXY header says. */
void gl_conn_announce(gl_conn *c, const gl_proxied *what);

/* Closes the connection now, in whatever state, and tells the user of its exchange (`abort`). The connection is freed later. */
void gl_conn_abort(gl_conn *c);

/* Closes an idle connection now, and another one after the answer in progress, since the server stops. `fresh`: a connection
 * without a request yet stays for the first one. */
void gl_conn_shutdown(gl_conn *c, bool fresh);

/* Acts on a deadline that has passed at `now` (loop time, ms); the server's sweep calls this now and then. Returns whether there
 * was something to do, which the sweep counts as work. */
bool gl_conn_sweep(gl_conn *c, uint64_t now);

/* ---- between the files of a connection ---- */

#define GL_CONN_IN_HIGH ((size_t)64 * 1024) /* early bytes kept while a request is busy */
#define GL_CONN_LINGER_SECONDS 2.0

static inline gl_conn *gl_conn_of(const gl_exchange *x) { return GL_CONTAINER(x, gl_conn_request, x)->conn; }

/* Is it between two requests, or before the first one? */
static inline bool gl_conn_is_between(const gl_conn *c) { return c->state == GL_CONN_HEAD && !c->r; }

/* Gives the state so many seconds from now on (invariant 6). */
void gl_conn_set_deadline(gl_conn *c, double seconds);

/* Gives the connection a gl_conn_request, for a head whose first byte has come. False: out of memory. */
bool gl_conn_begin_request(gl_conn *c);

/* Takes the gl_conn_request back between two requests, when it owns nothing but trailers. */
void gl_conn_rest(gl_conn *c);

/* Begins an exchange: the reader's head is complete. `now` is that of gl_exchange_user.head. (conn.c) */
void gl_conn_begin(gl_conn *c, bool now);

/* Answers a request that reaches no user, and closes after the answer. */
void gl_conn_refuse(gl_conn *c, int status, const char *reason);

/* Closes after the output (LINGER). `sending`: the client may still be sending, and would lose the answer if the connection were
 * reset, so it has 2 s to end first. */
void gl_conn_close_gently(gl_conn *c, bool sending);

/* Gives bytes to the reader, and returns how many of them the state takes now. The connection may be in any state after it, and
 * its stream closing. `now` as in gl_conn_begin. (conn_in.c) */
size_t gl_conn_consume(gl_conn *c, const char *bytes, size_t n, bool now);

/* Tells a user that waits that the body it wants has come (0), or why not (UV_E*). Harmless when the user does not wait. */
void gl_conn_tell_body(gl_conn *c, int status);

/* Makes x.in, x.to_come and x.error follow the reader. */
void gl_conn_set_in(gl_conn *c);

/* Tells the reader that the client sends nothing more; a body without an end of its own is BAD then. */
void gl_conn_end_body(gl_conn *c);

/* Takes note that the client sends nothing more (UV_EOF), or is gone (another UV_E*), and tells the user. In the second case the
 * stream is closed. */
void gl_conn_lose(gl_conn *c, int status);

/* The carrier's `want`, and what the reader and the stream call. */
void gl_conn_want(gl_exchange *x, size_t more_than);
bool gl_conn_on_body(gl_h1_reader *r, const char *at, size_t n);
void gl_conn_on_data(gl_stream *stream, const char *bytes, size_t n);
void gl_conn_on_end(gl_stream *stream, int status);

/* The carrier's functions that send, as message/exchange.h has them. (conn_out.c) */
int gl_conn_send_interim(gl_exchange *x, int status, const gl_fields *fields);
int gl_conn_send(gl_exchange *x, const gl_message_head *head, const char *body, size_t n);
int gl_conn_send_head(gl_exchange *x, const gl_message_head *head);
int gl_conn_send_body(gl_exchange *x, const char *bytes, size_t n);
int gl_conn_send_file(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n);
uint64_t gl_conn_finish(gl_exchange *x, const gl_fields *trailers);
bool gl_conn_take_back(gl_exchange *x);
void gl_conn_cut(gl_exchange *x);
bool gl_conn_is_full(gl_exchange *x);
bool gl_conn_is_open(const gl_exchange *x);

/* Forgets a held head, which is not sent then. */
void gl_conn_drop_held(gl_conn *c);

/* Starts the write clock: the kernel did not take all output. (conn_clock.c) */
void gl_conn_on_blocked(gl_stream *stream);

/* While `blocked`: does the client take what was written? Call in each sweep. */
bool gl_conn_takes_output(gl_conn *c, uint64_t now);

/* Frees a connection that has neither a stream nor a user. (conn.c) */
void gl_conn_free(gl_conn *c);

/* As gl_carrier.peer. */
int gl_conn_peer(const gl_conn *c, struct sockaddr_storage *address, bool *secure);

#endif
