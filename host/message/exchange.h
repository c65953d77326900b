/* SPDX-License-Identifier: MIT
 *
 * An exchange is one request and its response. Two parties share it and know nothing else of each other: the *carrier*, a
 * connection that speaks some version of HTTP on either side, and the *user*, the code that serves the request or sends it. On a
 * server, http/conn.h is a carrier and web/call.h the user; on a client, transport/outbound.h is a carrier and transport/roundtrip.h
 * the user.
 *
 *     server   head -> (body, end) -> user ... send_interim* -> send_head -> send_body* -> finish -> release
 *     client   user: send_head -> send_body* -> finish ... (1xx head)* -> head -> (body, end) -> release
 *
 * `head` and `body` hold what arrives; `in` says how far the message that arrives has come, `out` how far the one that is sent has:
 *
 *     in:  GL_IN_HEAD --head--> GL_IN_BODY --its last byte, that of its trailers--> GL_IN_DONE
 *             '------------------'--malformed, too large, cut short, too late, no memory--> GL_IN_BAD, `error` says why
 *     out: GL_OUT_HEAD --send_head--> GL_OUT_BODY --finish--> GL_OUT_DONE
 *             ^   '--send (whole), or a head without a body--------^
 *             '--take_back------------'
 *
 * Either direction may end first: a response may be complete before the request is.
 *
 * OWNERSHIP. The carrier allocates the exchange, and `user->size` bytes of the user's own behind the struct; both
 * live from `head` (client: from when the carrier handed the exchange out) until the user calls `release`, and not longer. What has
 * arrived may be needed for longer: a client gives its connection to the next request before a script has looked at the response.
 * So a user may take `head` (not that of a 1xx response), `trailers` and `body` out of the exchange, by leaving NULL or an empty
 * buffer there; a head goes to `heads` in the end, so that other exchanges can use its memory. What is left is the carrier's. A user
 * that takes bytes of `body`, but not the buffer, eats them.
 *
 * WHO CALLS WHEN. The carrier calls the user from loop callbacks: the user calls no Lua then, waits for nothing, and may
 * call any function of the carrier, on a server all but `release` (there a task ends the exchange, on a client often the callback
 * does: after it, the carrier looks again whether there is an exchange). The user calls the carrier from wherever it likes, between
 * `head` (client: from when it has the exchange) and `release`. Functions that send are harmless when the peer is gone: the carrier
 * throws away what is sent. Each of them may find that out, and call `gone` before it returns.
 *
 * BACK-PRESSURE, in. A carrier stops reading (HTTP/2: opens no window) once many bytes of the body wait for which the user
 * has not asked. `want(x, more_than)` asks: the user's `body` is called once, when `body` holds more than that many bytes, or the
 * message ended, or failed. So a user that has taken bytes and wants more calls `want` again; a second `want` takes the place of the
 * first. Call it in GL_IN_BODY only. On a server, `want` also sends 100 Continue to a client that waits for that.
 * BACK-PRESSURE, out. Every byte that is sent is accepted; `is_full` then says whether so much output waits that the user should
 * pause. After a true `is_full` the user's `room` is called once: when there is room, or the peer is gone. After `send_file` the
 * exchange is full until all of the file is with the kernel; the user sends nothing more until `room`, whose status may be the file's fault.
 *
 * RESET. When the peer leaves or the connection breaks, the user's `gone` is called: on a server with UV_EOF if the peer will merely
 * send nothing more and may still read, with another UV_E* if nothing can be sent or come any more. On a client nothing comes after
 * `gone`, which is also how a malformed response is told (in GL_IN_BAD, with `error`). If Lua runs at that time (it
 * was preempted, or waits), the exchange stays valid: `is_open` is false from then on, sends are thrown away, a `body` or
 * `room` that is waited for is called with that error. So after any call into Lua a user asks `is_open` and `out` again, and
 * never keeps a pointer into the connection. Only the user's own `release` ends the exchange.
 */
#ifndef GL_MESSAGE_EXCHANGE_H
#define GL_MESSAGE_EXCHANGE_H

#include "core/buf.h"
#include "core/open_file.h"
#include "h1/heads.h"
#include "message/head.h"
#include "net/stream.h"

typedef struct gl_exchange gl_exchange;

typedef enum gl_in_state { GL_IN_HEAD, GL_IN_BODY, GL_IN_DONE, GL_IN_BAD } gl_in_state;
typedef enum gl_out_state { GL_OUT_HEAD, GL_OUT_BODY, GL_OUT_DONE } gl_out_state;

/* The user's functions. The carrier calls them from loop callbacks, or from the driver where `now` says so. */
typedef struct gl_exchange_user {
  size_t size; /* bytes of the user's own, zeroed, behind the exchange */

  /* A head is complete: a request's (server), a response's or an interim response's (client; another head follows a 1xx).
   * `now`: the driver calls, and a task that becomes ready may run in this batch. False (server): there is no memory to serve
   * the request; the exchange has no user then, and the carrier answers 503. */
  bool (*head)(gl_exchange *x, bool now);

  /* The body that `want` asked for is there or the body has ended (`status` 0), or the body failed (UV_E*). Called once for each `want`. */
  void (*body)(gl_exchange *x, int status);

  /* There is room again (`status` 0), or there never will be (UV_E*). Called once for each true `is_full`. With `file_error` the file of
   * `send_file` is why: the carrier cuts the message. */
  void (*room)(gl_exchange *x, int status);

  /* The peer sends nothing more (UV_EOF), or is gone (another UV_E*). */
  void (*gone)(gl_exchange *x, int status);

  /* Server only, since a client's user has the clocks, which begin before there is an exchange: the time of the exchange is over,
   * and not because of a `want`. The user ends the exchange. Called again after as long. */
  void (*late)(gl_exchange *x);

  /* The carrier closes now: the user soon (client: at once) ends its work for the exchange, and releases the exchange. */
  void (*abort)(gl_exchange *x);
} gl_exchange_user;

/* The functions of another protocol (a WebSocket) that took over an exchange's stream. The carrier calls them, but for `excuses`,
 * which the exchange's user asks. */
typedef struct gl_takeover {
  void (*retire)(void *proto);            /* the server stops: the protocol says goodbye to the peer */
  void (*abort)(void *proto);             /* the protocol closes the stream now */
  void (*over)(void *proto, bool failed); /* the exchange's user is done: after this and stream_closed, `proto` is not used */
  bool (*excuses)(void *proto);           /* was the user cancelled, or could not send, through no fault of its own? */
} gl_takeover;

/* The carrier's functions. The user calls them between `head` and `release`; none waits, raises or calls Lua. */
typedef struct gl_carrier {
  /* Sends a whole message: its head and a body of `n` bytes, copied. `body` NULL: the message has no body, whatever head->length
   * announces (a response to HEAD, 304; 0, of a request that could have a body). Returns 0; or UV_ENOMEM: nothing was sent. */
  int (*send)(gl_exchange *x, const gl_message_head *head, const char *body, size_t n);

  /* Sends a head whose body follows in pieces; a head that can have no body (HEAD, 204, 304) is the whole message. Returns 0; or
   * UV_ENOMEM: nothing was sent. */
  int (*send_head)(gl_exchange *x, const gl_message_head *head);

  /* Sends a piece of the body, copied; an empty piece lets a held head leave. Returns 0; or UV_EMSGSIZE: the body would be longer
   * than was announced; or UV_ENOMEM. Nothing was sent unless it returns 0. */
  int (*send_body)(gl_exchange *x, const char *bytes, size_t n);

  /* Sends `n` bytes of a file from `at` on, of which it takes a reference, as a piece of the body; then ask `is_full`. Returns 0; or
   * UV_EMSGSIZE; or UV_ENOMEM: nothing but perhaps the head was sent. */
  int (*send_file)(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n);

  /* Completes the message that is sent, and returns 0. `trailers` (NULL: none) follow a body whose length was not announced; with any
   * other body they are dropped. Else returns how many of the announced bytes are missing: the message stays incomplete, and the user
   * can only `cut` it. */
  uint64_t (*finish)(gl_exchange *x, const gl_fields *trailers);

  /* Takes back a message of which nothing has left yet, so that another can be sent (client: on any connection). False: some of the
   * message has left, or may have. */
  bool (*take_back)(gl_exchange *x);

  /* Ends the message that is sent so that the peer cannot take it for complete (HTTP/1: closes; HTTP/2: resets the
   * stream). On a client also: the response is of no interest any more. */
  void (*cut)(gl_exchange *x);

  /* Lets bytes of the body come; `body` is called once there are more than `more_than`. See BACK-PRESSURE. */
  void (*want)(gl_exchange *x, size_t more_than);

  bool (*is_full)(gl_exchange *x);       /* should the user pause? See BACK-PRESSURE. */
  bool (*is_open)(const gl_exchange *x); /* can anything still be sent? */

  /* Client only: returns how many bytes of the message that is sent have not reached the peer yet. */
  uint64_t (*outstanding)(const gl_exchange *x);

  /* Client only: forgets what is left of a file, since the server does not want it. The message stays incomplete. */
  void (*drop_file)(gl_exchange *x);

  /* Client only: is a file being read, so that the next step of the message that is sent is not the server's? */
  bool (*is_reading)(const gl_exchange *x);

  /* Server only: sends an interim response (RFC 9110, 15.2), to a peer of HTTP/1.1 or above, in GL_OUT_HEAD. It has no body, and another
   * head follows. Returns 0; or UV_ENOMEM: nothing was sent. */
  int (*send_interim)(gl_exchange *x, int status, const gl_fields *fields);

  /* Server only: lets the time of the exchange begin anew. */
  void (*renew)(gl_exchange *x);

  /* Ends the exchange, which may be freed, or another one, when this returns. Call with a message that was begun finished or cut. The
   * connection serves the next exchange if both messages have ended where their heads said. `failed` goes to the protocol that took
   * the stream over (`over`), if one did. */
  void (*release)(gl_exchange *x, bool failed);

  /* Server only: writes the peer's address, and whether its connection has TLS, and returns the address's family. AF_UNIX: the peer has no
   * address. -1: the peer is gone, and nothing was written. The peer of a proxy that speaks the PROXY protocol is the one it says. */
  int (*peer)(const gl_exchange *x, struct sockaddr_storage *address, bool *secure);

  /* Server only: returns the stream with the peer's TLS (net/tls.h), for gl_tls_describe. NULL: there is no TLS, or the peer is gone. */
  const gl_stream *(*secured)(const gl_exchange *x);

  /* Hands the stream to another protocol, and moves the bytes that were received already to *rest, which the caller frees. NULL, which only
   * HTTP/2 returns, where a stream has to be made: there is no memory, or there are no descriptors. A client's carrier has NULL here. The exchange lives on, without a stream, until both `release` and
   * `stream_closed` were called; the protocol calls the latter when the stream is closed. */
  gl_stream *(*take)(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto);
  void (*stream_closed)(gl_exchange *x);
} gl_carrier;

struct gl_exchange {
  const gl_carrier *carrier;
  const gl_exchange_user *user;
  void *context;       /* the server, or the client, that the exchange belongs to */
  const gl_takeover *takeover; /* the protocol that took the stream over; NULL: none */
  void *proto;         /* that protocol's socket: the argument of its functions */
  gl_heads *heads;     /* where heads come from and go to; it outlives the exchange */
  const gl_head_limits *limits; /* what a head that arrives may have; a client's user sets this before it sends */
  gl_head *head;       /* the head that arrived; NULL: none yet, or the user has taken it out */
  gl_head *trailers;   /* in GL_IN_DONE: the fields behind the body; NULL: none came, or the user has taken them out */
  gl_buf body;         /* bytes of the body that arrived and were not taken */
  uint64_t arrived;    /* bytes of the body that arrived so far */
  uint64_t to_come;    /* bytes of an announced body that did not arrive yet; else 0 */
  uint64_t moved;      /* client: ns, when bytes last came, or room for more */
  size_t wanted;       /* while `waiting`: the user waits for more than so many bytes of the body, or the body's end */
  const char *code, *why; /* of an error: its name where that is not `error`'s, and what went wrong, for people; NULL: nothing is
                             known beside `error`. Both last until `release` */
  int file_error;      /* why the file of `send_file` was not sent to its end: UV_EOF, it has become shorter; another UV_E* of reading
                          it; 0: nothing is wrong */
  int error;           /* in == GL_IN_BAD: UV_EPROTO malformed, UV_EMSGSIZE, UV_ENOMEM, UV_ETIMEDOUT, UV_ECONNRESET cut short */
  uint8_t in;          /* gl_in_state */
  uint8_t out;         /* gl_out_state */
  uint8_t minor;       /* HTTP/1.minor of the peer, or GL_MINOR_HTTP2 */
  bool begun;          /* a byte of the message that arrives has come */
  bool head_only;      /* a HEAD request: its response has no body */
  bool waiting;        /* a `want` has not been answered by `body` yet */
  bool eof;            /* the peer will send nothing more */
};

/* For carriers: the stream has told `drained`. A message whose file fails cannot be completed, whatever its user makes of that. */
static inline void gl_exchange_drained(gl_exchange *x, const gl_stream *s) {
  int status = s->file_error ? s->file_error : s->broken ? UV_EPIPE : 0;
  x->file_error = s->file_error;
  if (x->file_error) x->carrier->cut(x);
  x->user->room(x, status);
}

#endif
