/* SPDX-License-Identifier: MIT
 *
 * One side of a WebSocket (RFC 6455), a server's or a client's: ws/frames.h turns bytes into messages, this file has the queue of messages,
 * the ops that wait, the clocks, and the end. Any number of tasks may send, and one may receive at the same time. A client's socket has no
 * exchange and no handler's task: nobody is told of its end but who receives, sends or closes.
 *
 *     OPEN --gl_ws_close: our close frame--> CLOSING --on_close, on_end, fail: begin_parting--> OVER --conclude--> SETTLED
 *       |--on_close, on_end, fail: begin_parting--> PARTING --conclude: part, our close frame--------------------> SETTLED
 *       '--ws_drop, on_closed: the stream broke, or is closed now--> OVER (CLOSING, too)
 *
 *     any --on_closed: the stream is gone--> departed: `stream` is NULL; and `x`, once the handler's task has ended, too (on_over)
 *
 *     state      flags                            the close frames
 *     OPEN       neither `closing` nor `over`     none
 *     CLOSING    `closing`, not `over`            ours is out; the peer's must come in 5 s, anew while output moves (on_timer)
 *     PARTING    `over` and `parting`             the peer's came (or its end, or a breach of the rules); ours waits for the receiver
 *     OVER       `over`, not `parting`            both are out, or one cannot come any more
 *     SETTLED    `settled`                        as before; the stream closes when output has left, or did not move for 5 s
 *
 * Who answers a close, and when. The peer answers ours (gl_ws_close) when it likes. We answer the peer's in part, with the peer's
 * own code: as soon as no receiver is still to come for what the peer sent (gl_ws_is_attended), when a receiver asks for more than
 * there is (gl_ws_receiver_ended), when the script closes or the handler's task ends (gl_ws_close), or when no receiver came for a
 * message in GL_WS_PATIENCE (on_timer). A breach of the rules is answered with its own code, an end without a close frame not at all.
 *
 *  1. After our close frame nothing is sent; from `over` on no message joins the queue. Either ends the socket's memberships in the hub.
 *  2. `parting` implies `over` and not `closing`; `settled` implies `over` and not `parting`.
 *  3. conclude runs once. It tells the handler's task (user->gone), unless the script knows of the end (`known`); a task that knows
 *     has linger_timeout from the end of the stream, and is told then.
 *  4. `refs` counts the userdata, the stream, the handler's task if there is one, and each op; on_closed and on_over each drop one.
 *  5. A client that has closed holds the host until the stream is closed, so that its close frame leaves also when the script has ended.
 */
#ifndef GL_HTTP_WEBSOCKET_H
#define GL_HTTP_WEBSOCKET_H

#include "http/hub.h"
#include "message/exchange.h"
#include "ws/frames.h"

typedef struct gl_ws gl_ws;

typedef struct gl_ws_limits {
  size_t max_message;   /* bytes of one message received: close 1009 beyond */
  size_t max_pending;   /* bytes of output that try_send and the hub may leave waiting, their message included */
  double ping_interval; /* seconds between pings */
  double idle_timeout;  /* seconds without a byte from the peer: the connection is dropped */
  double linger_timeout; /* seconds that a handler that knows of the end may still take */
} gl_ws_limits;

#define GL_WS_PATIENCE 5.0 /* seconds that a receiver may take for one message once the peer has left */
#define GL_WS_QUEUE_HIGH ((size_t)256 * 1024) /* bytes of messages in the queue from which on the stream is not read */

struct gl_ws {
  gl_host *host;
  gl_stream *stream;   /* NULL once it is closed */
  gl_exchange *x;      /* gave us the stream; NULL: a client's, or the stream is closed and the handler's task has ended */
  gl_subscriber listener; /* this socket as the hub knows it, with memberships only while OPEN */
  gl_frames frames;    /* whose `permessage` is the socket's */
  gl_buf rest;         /* bytes that came right behind the handshake */
  gl_message *head, **tail; /* the queue of messages that came and were not received */
  size_t queued;       /* bytes in the queue */
  uint64_t received;   /* messages taken out of the queue so far */
  gl_op *reader;       /* waits for a message */
  gl_opqueue writers;  /* wait for room in the output, in order */
  gl_opqueue closers;  /* wait for the end of the stream */
  gl_timer timer;
  gl_ws_limits limits;
  uint64_t heard;      /* loop time, ms, of the last sign of life: a byte came, or output was taken */
  uint64_t moved;      /* loop time, ms, when no output waited or some of it was taken */
  uint64_t delivered;  /* bytes of output that had reached the peer at the last look */
  uint32_t refs;       /* the userdata, the stream, the handler's task, ops */
  uint16_t close_code; /* of the peer's close frame, or one that says why there is none; 0: not over yet */
  uint16_t answer;     /* parting: the code of our close frame; 0: a frame without a code */
  bool client;         /* our side is the client's: it masks what it sends */
  bool holding;        /* the host waits for the end of the stream */
  bool over;           /* nothing more will come */
  bool closing;        /* our side ended: our close frame is out, or will not be sent any more */
  bool parting;        /* the peer's side ended, and our close frame waits until what came is received */
  bool silent;         /* parting: the peer ended without a close frame, and gets none */
  bool settled;        /* the messages that came were received, or no receiver wants them */
  bool failed;         /* the peer broke the rules: what the peer still sends is thrown away */
  bool serving;        /* the handler's task lives */
  bool known;          /* the script knows of the end: it closed the socket, or a receive of the handler's task returned nil */
  bool handler_closed; /* the handler's task closed the socket, or a client's script did */
  bool orphan;         /* no script can receive any more */
  bool delivering;     /* the reader was woken and has not taken its message yet */
  bool in_hand;        /* a message was received, and its receiver has not asked for the next one */
  bool suspect;        /* the peer was silent for too long; one more look follows, in case our thread did not read */
  bool owes_pong;      /* `pong` is to be sent when there is room */
  uint8_t pong_len, reason_len;
  uint8_t pong[GL_CONTROL_MAX]; /* the bytes of the last ping, when it could not be answered at once */
  char reason[GL_REASON_MAX];   /* of the peer's close frame */
};

/* Makes a WebSocket that takes over the stream of an exchange whose task runs, and `permessage` (NULL: messages are not compressed); one
 * reference is the caller's. NULL: out of memory, and nothing was taken. */
gl_ws *gl_ws_new(gl_exchange *x, const gl_ws_limits *limits, gl_permessage *permessage);

/* Makes a client's WebSocket of a stream whose handshake is over, takes over `permessage`, and moves `rest`, the bytes behind the handshake; one
 * reference is the caller's, who calls gl_ws_start. NULL: out of memory, and nothing was taken. */
gl_ws *gl_ws_new_client(gl_stream *stream, gl_buf *rest, const gl_ws_limits *limits, gl_permessage *permessage);

/* Drops a reference. */
void gl_ws_unref(gl_ws *ws);

/* Begins to read and to ping; call when the handshake was written. */
void gl_ws_start(gl_ws *ws);

/* May a frame of n bytes more wait, if the kernel does not take it (max_pending)? Gives the kernel what waits if the answer depends
 * on that, whereby the stream may break. Call while the socket is open. */
bool gl_ws_has_room(gl_ws *ws, size_t n);

/* Writes a control frame; its bytes are copied. Call while the socket is open. */
void gl_ws_put(gl_ws *ws, gl_opcode opcode, const void *bytes, size_t n);

/* Writes a message as one frame, compressed if that was agreed on and makes it smaller; its bytes are copied. Call while the socket is open, and
 * after gl_stream_room has found room for `n` + GL_FRAME_HEAD bytes. */
void gl_ws_put_message(gl_ws *ws, gl_opcode opcode, const void *bytes, size_t n);

/* The `take` of the socket as a subscriber of the hub. A socket that cannot keep up is closed. */
bool gl_ws_take_published(gl_subscriber *s, gl_hub_message *m);

/* Can a message be sent? */
bool gl_ws_is_open(const gl_ws *ws);

/* Is a receiver still expected for what the peer sent before it left? */
bool gl_ws_is_attended(const gl_ws *ws);

/* Takes note that a receiver was told that nothing more will come: what came was received, so the socket settles. */
void gl_ws_receiver_ended(gl_ws *ws);

/* Takes note that a receiver took a message; the receiver is expected back for the next one. */
void gl_ws_receiver_took(gl_ws *ws);

/* Closes the stream now, without a close frame; for us the code is 1006. Idempotent. */
void gl_ws_terminate(gl_ws *ws);

/* Sends our close frame with a code and a reason (NULL, 0: none), after which the peer's ends the socket. A peer that closed first
 * gets our answer now, with its own code instead. Idempotent. */
void gl_ws_close(gl_ws *ws, uint16_t code, const char *reason, size_t n);

#endif
