/* SPDX-License-Identifier: MIT
 *
 * The server side of a WebSocket (RFC 6455): frames.c does the frames, this does the waiting. Any number of
 * tasks may send, one may receive at the same time.
 *
 *     OPEN --our close frame--> closing --the peer's--> over --> settled --> stream closed
 *       '--the peer's, its end, or a fault of its--> over, parting --our close frame--> settled --> ...
 *
 * What the peer sent before it left is received first: `parting` lasts until a receiver has asked for more than there
 * is, or nobody has come for it in GL_WS_PATIENCE. Then the peer gets its answer, and the handler is cancelled unless it
 * knows. A socket settles also when its stream breaks; then there is nobody to be answered.
 */
#ifndef GL_HTTP_WEBSOCKET_H
#define GL_HTTP_WEBSOCKET_H

#include "http/exchange.h"
#include "ws/frames.h"
#include "http/hub.h"

typedef struct gl_ws gl_ws;

typedef struct gl_ws_limits {
  size_t max_message;   /* bytes of one message received: close 1009 beyond */
  size_t max_pending;   /* bytes try_send and the hub may leave waiting, their message included */
  double ping_interval; /* seconds between pings */
  double idle_timeout;  /* seconds without a byte from the peer: the connection is dropped */
  double linger_timeout; /* seconds a handler that knows of the end may still take */
} gl_ws_limits;

#define GL_WS_PATIENCE 5.0 /* seconds a receiver may take for one message once the peer has left */
#define GL_WS_QUEUE_HIGH ((size_t)256 * 1024) /* bytes of messages nobody has received yet: stop reading */

struct gl_ws {
  gl_host *host;
  gl_stream *stream;   /* NULL once gone */
  gl_exchange *x;      /* whose stream that was; NULL once it is gone and the handler's task has ended */
  gl_subscriber listener; /* of the hub, as long as it is open */
  gl_frames frames;
  gl_buf rest;         /* bytes that came right behind the handshake */
  gl_message *head, **tail;
  size_t queued;       /* bytes in that queue */
  uint64_t received;   /* messages taken out of it so far */
  gl_op *reader;       /* waits for a message */
  gl_opqueue writers;  /* wait for room, in order */
  gl_opqueue closers;  /* wait for the end */
  gl_timer timer;
  gl_ws_limits limits;
  uint64_t heard;      /* loop time, ms, of the last sign of life: a byte came, or output was taken */
  uint64_t moved;      /* loop time, ms, when no output waited or some of it was taken */
  uint64_t delivered;  /* bytes that had reached the peer, when that was last looked at */
  uint32_t refs;       /* the userdata, the stream, the handler's task, ops */
  uint16_t close_code;
  uint16_t answer;     /* parting: the code of our close frame; 0 = it has none */
  bool over;           /* nothing more will come */
  bool closing;        /* our close frame is out, or will not be sent any more */
  bool parting;        /* the peer's side ended, and ours did not yet */
  bool silent;         /* parting: the peer ended without a close frame, and gets none */
  bool settled;        /* what came was received, or is not wanted */
  bool failed;         /* the peer broke the rules: what it sends is thrown away */
  bool serving;        /* the handler's task lives */
  bool known;          /* to the script: it closed the socket, or a receive of the handler's task told so */
  bool left_it;        /* the handler's task closed it */
  bool orphan;         /* no script can receive any more */
  bool delivering;     /* the reader was woken and has not taken its message yet */
  bool in_hand;        /* a message was received, and its receiver has not asked for the next one */
  bool suspect;        /* it was silent for too long; one more look, in case it was us who did not listen */
  bool owes_pong;
  uint8_t pong_len, reason_len;
  uint8_t pong[GL_CONTROL_MAX]; /* of the last ping, when it could not be answered at once */
  char reason[GL_REASON_MAX];
};

/* A WebSocket that takes over the stream of a connection whose task runs; one reference is the caller's. NULL: out of
 * memory, nothing was taken. */
gl_ws *gl_ws_new(gl_exchange *x, const gl_ws_limits *limits);

/* Drop a reference. */
void gl_ws_unref(gl_ws *ws);

/* The handshake was written: begin to read. */
void gl_ws_start(gl_ws *ws);

/* Can a frame of n bytes more be left to wait, if the kernel does not take it? It is asked to take what waits. */
bool gl_ws_has_room(gl_ws *ws, size_t n);

/* Send one frame. */
void gl_ws_put(gl_ws *ws, gl_opcode opcode, const void *bytes, size_t n);

/* Can something be sent? */
bool gl_ws_is_open(const gl_ws *ws);

/* Is a receiver still to come for what the peer sent before it left? */
bool gl_ws_is_attended(const gl_ws *ws);

/* A receiver was told that nothing more will come. */
void gl_ws_receiver_ended(gl_ws *ws);

/* A receiver took a message; it is expected back for the next one. */
void gl_ws_receiver_took(gl_ws *ws);

/* Say goodbye with a code and a reason (NULL, 0 = none); the peer's answer ends it. When the peer was first, it gets its
 * answer now. Idempotent. */
void gl_ws_close(gl_ws *ws, uint16_t code, const char *reason, size_t n);

#endif
