/* SPDX-License-Identifier: MIT
 *
 * An exchange is one request and its response. Two parties share it and know nothing else of each other: the *carrier*, a
 * connection that speaks some version of HTTP on either side, and the *user*, who serves the request or has sent it.
 *
 *     server   head -> (body, end) -> user ... send_head -> send_body* -> finish -> release
 *     client   user: send_head -> send_body* -> finish ... (1xx head)* -> head -> (body, end) -> release
 *
 * What arrives is in `head` and `body`, how far it got in `in`; how far the sent message got is in `out`:
 *
 *     in:  GL_IN_HEAD --head--> GL_IN_BODY --its last byte--> GL_IN_DONE
 *             '------------------'--malformed, cut short, too late, no memory--> GL_IN_BAD, `error` says why
 *     out: GL_OUT_HEAD --send_head--> GL_OUT_BODY --finish--> GL_OUT_DONE
 *             ^   '--send (whole), or a head without a body--------^
 *             '--take_back------------'
 *
 * Either direction may end first: a response may be complete before the request is.
 *
 * OWNERSHIP. The carrier allocates the exchange, and `user->size` bytes of the user's own behind its struct; both
 * live from `head` (client: from when the carrier handed the exchange out) until the user calls `release`, and not longer.
 * `head` is the carrier's; a user that does not need it any more sets the member to NULL and gives it back with `drop_head`,
 * so that others can use its memory. `body` holds bytes that arrived and were not taken; its user eats them.
 *
 * WHO CALLS WHEN. The carrier calls the user from loop callbacks: the user calls no Lua then, waits for nothing, and may
 * call any function of the carrier but `release`. The user calls the carrier from wherever it likes, between `head` and
 * `release`. Functions that send are harmless when the peer is gone: what they are given is thrown away.
 *
 * BACK-PRESSURE, in. A carrier stops reading (HTTP/2: opens no window) once so many bytes of the body wait that nobody
 * asked for. `want(x, more_than)` asks: the user's `body` is called once, when `body` holds more than so many bytes, or the
 * message ended, or failed. So a user that has taken bytes and wants others says so again. On a server, `want` also sends
 * 100 Continue if the client waits for it.
 * BACK-PRESSURE, out. Every byte that is sent is accepted; `is_full` then says whether so much waits that the user should
 * pause. The user's `room` is called once after that: when there is room, or the peer is gone.
 *
 * RESET. When the peer leaves or the connection breaks, the user's `gone` is called: with UV_EOF if the peer will merely
 * send nothing more and may still read, with another UV_E* if nothing can be sent or come any more. If Lua runs at that time (it
 * was preempted, or waits), the exchange stays valid: `is_open` is false from then on, sends are thrown away, a `body` or
 * `room` that is waited for is called with that error. So after any call into Lua a user asks `is_open` and `out` again, and
 * never keeps a pointer into the connection. Only the user's own `release` ends the exchange.
 */
#ifndef GL_HTTP_EXCHANGE_H
#define GL_HTTP_EXCHANGE_H

#include "core/buf.h"
#include "http/message.h"
#include "net/stream.h"

typedef struct gl_exchange gl_exchange;

typedef enum gl_in_state { GL_IN_HEAD, GL_IN_BODY, GL_IN_DONE, GL_IN_BAD } gl_in_state;
typedef enum gl_out_state { GL_OUT_HEAD, GL_OUT_BODY, GL_OUT_DONE } gl_out_state;

/* What the user is told, from loop callbacks. */
typedef struct gl_exchange_user {
  size_t size; /* bytes of the user's own, zeroed, behind the exchange */

  /* A head is complete: a request (server), a response or an informational one (client; another follows a 1xx other than
   * 101). `now`: the driver calls, and what becomes ready may run in this batch. False: there is no memory to serve it; the
   * exchange has no user then, and the carrier answers 503. */
  bool (*head)(gl_exchange *x, bool now);

  /* What was wanted of the body is there, or the body has ended: `status` is 0; or it failed: UV_E*. Once for each `want`. */
  void (*body)(gl_exchange *x, int status);

  /* There is room again after `is_full`: 0; or there never will be: UV_E*. Once for each true `is_full`. */
  void (*room)(gl_exchange *x, int status);

  /* The peer sends nothing more (UV_EOF), or is gone (another UV_E*). */
  void (*gone)(gl_exchange *x, int status);

  /* The time of the exchange is over and `want` is not why: its user ends it. Called again after as long. */
  void (*late)(gl_exchange *x);

  /* The carrier closes now: the user ends what it does for the exchange, soon, and releases it. */
  void (*abort)(gl_exchange *x);
} gl_exchange_user;

/* What the other protocol that took over an exchange's stream is told (a WebSocket). */
typedef struct gl_takeover {
  void (*retire)(void *proto);            /* the server stops: say goodbye */
  void (*abort)(void *proto);             /* close now */
  void (*over)(void *proto, bool failed); /* the exchange's user is done: `proto` is not used after that and stream_closed */
  bool (*excuses)(void *proto);           /* is it no fault of the user's that it was cancelled, or could not send? */
} gl_takeover;

/* What a user asks of the carrier. */
typedef struct gl_carrier {
  /* Sends a whole message: its head and a body of `n` bytes, copied. `body` NULL: none, whatever head->length announces (a
   * response to HEAD, 304). 0; or UV_ENOMEM: nothing was sent. */
  int (*send)(gl_exchange *x, const gl_message_head *head, const char *body, size_t n);

  /* Sends a head whose body follows in pieces; a head that can have none (HEAD, 204, 304) is the whole message. 0; or UV_ENOMEM. */
  int (*send_head)(gl_exchange *x, const gl_message_head *head);

  /* Sends a piece of the body; an empty one lets a held head leave. 0; or UV_EMSGSIZE: the body would be longer than was announced, and
   * nothing was sent; or UV_ENOMEM: neither. */
  int (*send_body)(gl_exchange *x, const char *bytes, size_t n);

  /* The message that is sent is complete. Returns how many of the announced bytes are missing: then the message is not
   * complete, and `cut` is what is left. */
  uint64_t (*finish)(gl_exchange *x);

  /* Takes a message back of which nothing has left yet, so that another can be sent. False: some of it has left. */
  bool (*take_back)(gl_exchange *x);

  /* Ends the message that is sent so that the peer cannot take it for complete (HTTP/1: closes; HTTP/2: resets the
   * stream). On a client also: the response is of no interest any more. */
  void (*cut)(gl_exchange *x);

  /* Lets bytes of the body come, and tells once there are more than so many. See BACK-PRESSURE. */
  void (*want)(gl_exchange *x, size_t more_than);

  bool (*is_full)(gl_exchange *x);
  bool (*is_open)(const gl_exchange *x); /* can anything still be sent? */

  /* Gives back a head that the user has taken. */
  void (*drop_head)(gl_exchange *x, gl_head *head);

  /* The time of the exchange begins anew. */
  void (*renew)(gl_exchange *x);

  /* The user is done; the exchange may be freed when this returns. A message that was begun has been finished or cut.
   * `failed`: for the protocol that took the stream over, if one did. */
  void (*release)(gl_exchange *x, bool failed);

  /* The peer's address; returns its family. AF_UNIX: there is no address. -1: the peer is gone. */
  int (*peer)(const gl_exchange *x, struct sockaddr_storage *address);

  /* Hands the stream to another protocol; the bytes that were already received are moved to *rest. NULL for a carrier that
   * cannot (HTTP/2). The exchange lives on, without a stream, until both `release` and `stream_closed` were called. */
  gl_stream *(*take)(gl_exchange *x, gl_buf *rest, const gl_takeover *takeover, void *proto);
  void (*stream_closed)(gl_exchange *x);
} gl_carrier;

struct gl_exchange {
  const gl_carrier *carrier;
  const gl_exchange_user *user;
  void *context;       /* the server, or the client, that it belongs to */
  const gl_takeover *takeover; /* the protocol that took its stream over; NULL: none */
  void *proto;
  gl_head *head;       /* what arrived; NULL: nothing yet, or its user has taken it */
  gl_buf body;         /* bytes of the body that arrived and were not taken */
  uint64_t to_come;    /* bytes of an announced body that did not arrive yet; else 0 */
  size_t wanted;       /* while `waiting`: more than so many bytes of the body, or its end */
  int error;           /* in == GL_IN_BAD: UV_E*: EPROTO malformed, ENOMEM, ETIMEDOUT, ECONNRESET cut short */
  uint8_t in;          /* gl_in_state */
  uint8_t out;         /* gl_out_state */
  uint8_t minor;       /* HTTP/1.minor of the peer */
  bool head_only;      /* a HEAD request: its response has no body */
  bool waiting;        /* the user wants to hear of the body */
  bool eof;            /* the peer will send nothing more */
};

#endif
