/* SPDX-License-Identifier: MIT
 *
 * A client connection that speaks HTTP/2 (RFC 9113): the carrier (message/exchange.h) of many exchanges at once, a stream for each. A
 * gl_conn turns into one when TLS has agreed on it (http/server.c), or the client's preface comes (http/conn_in.c); it keeps the connection's place in the server's list, its stream
 * of bytes and its clocks. nghttp2 (h2/session.h) has the frames, HPACK, the states of the protocol and its windows. No function here calls
 * Lua, waits, or knows a task.
 *
 *     one stream, as the exchange sees it:
 *
 *     on_begin_headers --> HEAD --begin: its head is complete--> RUN --h2_release--> LEFT --on_stream_close--> freed
 *                           |                                    '--h2_release, `closed`--> freed  ^
 *                           |--refuse: a bad head, no memory---------------------------------------'
 *                           '--on_stream_close: reset, or the connection is gone--> freed
 *
 *     RUN --on_stream_close: both messages have ended--> RUN, `closed`
 *         --on_stream_close, lose: reset before that---> RUN, `closed` and `lost`: the user was told `gone`
 *
 *     the connection:
 *
 *     OPEN --gl_h2_shutdown: GOAWAY, for which no stream is too young--> RETIRING --the PING behind it came back, or 1 s--> last GOAWAY
 *       '--no stream for keepalive_timeout; RETIRING, told, without streams; a fault, a flood: say_goodbye--> PARTING --2 s, the client's end--> closed
 *
 *     file         its part
 *     h2.c         life of the connection, what nghttp2 tells, what leaves
 *     h2_stream.c  the ends of streams
 *     h2_in.c      heads and bodies of requests, time for a body
 *     h2_out.c     responses
 *     h2_file.c    files, read by jobs of the thread pool
 *     h2_tunnel.c  WebSockets (RFC 8441): a stream for the protocol that takes the exchange over
 *     h2_clock.c   what a deadline that passed means
 *     h2_guard.c   what a client may ask that is no request: floods
 *
 * 1. `state` is RUN exactly while the exchange has a user.
 * 2. nghttp2 knows a stream from on_begin_headers until on_stream_close, which is told once (`closed`), or until the connection's stream of
 *    bytes is closed. A gl_h2_stream lives until it is closed and released, both; and, if it is `taken`, until that protocol's stream is closed.
 * 3. nghttp2 is entered once at a time (`busy`): what its callbacks, and users whom they tell, submit leaves when it returns.
 * 4. A byte of a body is given back to the client's window when the user asks for more, or waits already; so a body that nobody reads holds
 *    WINDOW bytes at most, a body that is read BODY_WINDOW beside what the user wanted. The window of the connection is never the limit:
 *    no stream holds up another.
 * 5. What a user sends waits in the stream's `out`; a frame is made of it when the client's windows and the connection's output have room,
 *    in turns among the streams. More than GL_H2_OUT_HIGH bytes in `out` are full.
 * 6. A gl_h2 outlives its connection's stream of bytes as long as it has streams.
 */
#ifndef GL_HTTP_H2_H
#define GL_HTTP_H2_H

#include "h2/request.h"
#include "h2/session.h"
#include "http/conn.h"

typedef struct gl_h2 gl_h2;
typedef struct gl_h2_stream gl_h2_stream;
typedef struct gl_h2_file gl_h2_file;

typedef enum gl_h2_state { GL_H2_HEAD, GL_H2_RUN, GL_H2_LEFT } gl_h2_state;

/* What a connection may still do that is no request, and is made good by time and by work (h2_guard.c). */
typedef struct gl_h2_guard {
  uint64_t at;     /* loop time, ms, up to which time has made good */
  double frames;   /* frames that bring neither a request nor a body */
  double resets;   /* streams that end before their time */
} gl_h2_guard;

struct gl_h2 {
  gl_conn *conn;
  nghttp2_session *session;   /* NULL once the stream of bytes is closed */
  gl_h2_stream *streams;
  uint32_t nstreams;
  gl_turn_hook turn;          /* writes what was submitted */
  gl_h2_guard guard;
  uint32_t fault;             /* an nghttp2_error_code: why a callback gave the connection up; 0: none did */
  ssize_t quota;              /* while nghttp2 writes: bytes that it may still write in this turn */
  uint64_t last_goodbye;      /* RETIRING: loop time, ms, when the last GOAWAY is due if the PING does not come back */
  bool busy;                  /* nghttp2 is running */
  bool retiring, parting;     /* see above */
  bool told;                  /* RETIRING: what the client sent before it knew has come */
  bool last_said;             /* RETIRING: the last GOAWAY is out */
  bool gone;                  /* the connection is freed, and the hook, which is queued, frees this */
};

struct gl_h2_stream {
  gl_h2 *h2;
  gl_h2_stream *next, **at;   /* in the list of its connection */
  int32_t id;
  uint8_t state;              /* gl_h2_state */
  bool closed, lost;          /* see above */
  bool reset_by_client;       /* a RST_STREAM came */
  bool reset_by_us;           /* ours is out, for a reason that is no fault of the client's */
  bool submitted;             /* nghttp2 has the head of the response */
  bool complete;              /* all of the response is in `out` and `file` */
  bool sent;                  /* the last frame of the response has left */
  bool asleep;                /* nghttp2 waits until there is more of the body (deferred) */
  bool full;                  /* the user was told to wait for `room` */
  bool wants_continue;        /* the client waits for 100 Continue */
  bool reads;                 /* the user has asked for the body: the window is BODY_WINDOW */
  bool bad_trailers;
  bool taken;                 /* another protocol has a stream in the exchange's place, and has not called `stream_closed` */
  uint64_t deadline;          /* loop time, ms: HEAD: of the head; RUN: of the user, or of the body it waits for */
  uint64_t body_waited;       /* ms the user waited for the body, up to waiting_since */
  uint64_t waiting_since;     /* loop time, ms */
  uint64_t write_deadline;    /* while `stalled`: loop time, ms, by which more of `out` must have left */
  uint64_t left, left_before; /* bytes of the body of the response that have left, now and at the last sweep */
  bool stalled;               /* at the last sweep, bytes waited in `out` */
  size_t unread;              /* bytes of the body that were not given back to the client's window */
  gl_h2_request request;
  gl_head *trailers;          /* of the request, while they arrive */
  gl_body_out body;           /* of the response */
  nghttp2_nv *held;           /* the head of a response, not submitted yet, one block; NULL: none */
  size_t nheld;
  gl_buf out;                 /* of the body of the response: what is not in a frame yet */
  gl_fields last;             /* trailers of the response, a copy */
  gl_h2_file *file;           /* leaves behind `out`; NULL: none */
  gl_stream *tunnel;          /* our end of the stream that another protocol took over; NULL: none did, or it is closed */
  gl_exchange x;              /* the last member: its user's bytes follow */
};

#define GL_H2_OUT_HIGH ((size_t)64 * 1024) /* bytes in a stream's `out` beyond which it is full */

/* Turns a connection that has no request, of a server that gl_server_speaks_h2, into one of HTTP/2, and reads the first `n` bytes. When
 * there is no memory, the connection is closed. */
void gl_h2_begin(gl_conn *c, const char *bytes, size_t n);

/* Reads bytes that came. */
void gl_h2_read(gl_h2 *h2, const char *bytes, size_t n);

/* As gl_conn_abort, gl_conn_shutdown and gl_conn_sweep, for a connection that is one of HTTP/2. */
void gl_h2_abort(gl_h2 *h2);
void gl_h2_shutdown(gl_h2 *h2, bool fresh);
bool gl_h2_sweep(gl_h2 *h2, uint64_t now);

/* ---- between the files of such a connection ---- */

static inline gl_h2_stream *gl_h2_of(const gl_exchange *x) { return GL_CONTAINER(x, gl_h2_stream, x); }
static inline gl_server *gl_h2_server(const gl_h2_stream *st) { return st->h2->conn->server; }

/* Can anything of this stream still leave? */
static inline bool gl_h2_is_live(const gl_h2_stream *st) { return !st->closed && st->h2->session && !st->h2->parting; }

/* Writes what was submitted at the end of the turn; or now, if nghttp2 is not running. (h2.c) */
void gl_h2_touch(gl_h2 *h2);
void gl_h2_pump(gl_h2 *h2);

/* While nghttp2 writes: is there room for the next frame? */
bool gl_h2_may_write(gl_h2 *h2);

/* Says GOAWAY with an error code of the protocol, and closes once that has left (PARTING). */
void gl_h2_say_goodbye(gl_h2 *h2, uint32_t code);

/* Says which streams are answered yet, after which come no others. */
void gl_h2_say_last(gl_h2 *h2);

/* Resets a stream. Harmless when it is closed. */
void gl_h2_reset(gl_h2_stream *st, uint32_t code);

/* The stream is of no use to its user any more, because the client reset it or left (UV_E*); tells the user, if there is one. */
void gl_h2_lose(gl_h2_stream *st, int status);

/* Frees the stream if it is closed and released; with the last one of a connection that is gone, that too. (h2_stream.c) */
void gl_h2_settle(gl_h2_stream *st);

/* The last stream was freed: closes a connection that waits for that, or frees one that is closed. (h2.c) */
void gl_h2_on_no_streams(gl_h2 *h2);

/* Requests: what nghttp2 tells of them (h2_in.c). Each of the first three returns false when the connection is given up (`fault`). */
bool gl_h2_begin_request(gl_h2 *h2, int32_t id);
bool gl_h2_on_field(gl_h2_stream *st, bool trailer, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
bool gl_h2_on_bad_field(gl_h2_stream *st);
void gl_h2_on_head(gl_h2_stream *st, bool ends);
void gl_h2_on_body(gl_h2_stream *st, const char *bytes, size_t n);
void gl_h2_on_last(gl_h2_stream *st);
void gl_h2_on_trailers(gl_h2_stream *st);

/* The body has failed for a reason (UV_E*): tells a user that waits. Harmless when the body has ended. */
void gl_h2_fail_body(gl_h2_stream *st, int status);

/* Gives what came back to the client's window. */
void gl_h2_give_back(gl_h2_stream *st);

void gl_h2_want(gl_exchange *x, size_t more_than);

/* The carrier's `take` and `stream_closed`; and for the stream that was made for it: bytes that came from the client, and the end, from
 * which on nothing comes or leaves (h2_tunnel.c). */
gl_stream *gl_h2_take(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto);
void gl_h2_stream_closed(gl_exchange *x);
void gl_h2_tunnel_in(gl_h2_stream *st, const char *bytes, size_t n);
void gl_h2_tunnel_drop(gl_h2_stream *st);

/* Resets a stream of which the client has ended less than we have, once nobody is interested in the rest. */
void gl_h2_end(gl_h2_stream *st);

/* Responses (h2_out.c): the carrier's functions, as message/exchange.h has them. */
int gl_h2_send_interim(gl_exchange *x, int status, const gl_fields *fields);
int gl_h2_send(gl_exchange *x, const gl_message_head *head, const char *body, size_t n);
int gl_h2_send_head(gl_exchange *x, const gl_message_head *head);
int gl_h2_send_body(gl_exchange *x, const char *bytes, size_t n);
int gl_h2_send_file(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n);
uint64_t gl_h2_finish(gl_exchange *x, const gl_fields *trailers);
bool gl_h2_take_back(gl_exchange *x);
void gl_h2_cut(gl_exchange *x);
bool gl_h2_is_full(gl_exchange *x);
bool gl_h2_is_open(const gl_exchange *x);

/* Sends 100 Continue. */
void gl_h2_continue(gl_h2_stream *st);

/* There is more of the body, or it is complete. */
void gl_h2_resume(gl_h2_stream *st);

/* Forgets what of a response has not left. */
void gl_h2_drop_response(gl_h2_stream *st);

/* nghttp2's callback that writes a frame of a body. */
int gl_h2_on_frame_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n, nghttp2_data_source *source, void *user);

/* A part of a file that leaves behind `out`, read by jobs (h2_file.c). False: out of memory. */
bool gl_h2_file_begin(gl_h2_stream *st, gl_open_file *file, uint64_t at, uint64_t n);

/* Starts the next job if it is time for one. */
void gl_h2_file_go_on(gl_h2_stream *st);

/* Forgets the file, at once or when its job has ended. */
void gl_h2_file_drop(gl_h2_stream *st);

/* Sets a deadline so many seconds from now. (h2_clock.c) */
void gl_h2_set_deadline(gl_h2_stream *st, double seconds);

/* Sets the time for the rest of the body that the user waits for, and counts the time that it has waited. */
void gl_h2_set_body_deadline(gl_h2_stream *st);
void gl_h2_count_body_wait(gl_h2_stream *st);

/* Count a frame that came, bytes of a body in a frame that came or left, and a stream that ended before its time (h2_guard.c). False: it
 * is too much. */
void gl_h2_guard_begin(gl_h2 *h2);
bool gl_h2_guard_frame(gl_h2 *h2, const nghttp2_frame *frame);
void gl_h2_guard_work(gl_h2 *h2, size_t n);
bool gl_h2_guard_reset(gl_h2 *h2);

extern const gl_carrier gl_h2_carrier;

#endif
