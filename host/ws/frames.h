/* SPDX-License-Identifier: MIT
 *
 * Reads WebSocket frames as either side receives them (RFC 6455, 5): takes frames apart, puts messages together, and checks that each frame
 * may follow the one before. A fault is found at the first byte that shows it: a length beyond the limit in the head of the frame, bad
 * UTF-8 in the middle of a message. No function here calls Lua or waits.
 *
 *     head --take_head: the last byte of it--> payload (`inside`) --end_frame--> head
 *       |                                        |                   '--end_close: a close frame--> over
 *       '---take_head: a malformed head---> over '--take_payload: bad UTF-8, no memory--> over
 *
 *  1. `part` is the message between its first frame and its last one; control frames may come in between, and do not touch it.
 *  2. `user` is called for complete messages and control frames only, in the order of the bytes, and for none after a close frame.
 *  3. Once `over`, further bytes are ignored.
 *  4. Memory for a message grows with the bytes that arrive, not by the length that a head announces, and to `max` at most. A compressed
 *     message is decompressed as it arrives: `max` bounds what it becomes.
 */
#ifndef GL_WS_FRAMES_H
#define GL_WS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/permessage.h"

#define GL_CONTROL_MAX 125 /* bytes of payload in a control frame, at most */
#define GL_REASON_MAX 123  /* bytes of the reason in a close frame, at most: the code takes two */
#define GL_FRAME_HEAD 14   /* bytes of the head of a frame, at most; without a mask, as servers send it, 10 */
#define GL_MASK 4          /* bytes of the key behind the head of a frame that a client sends */

typedef enum gl_opcode {
  GL_CONTINUATION = 0, GL_TEXT = 1, GL_BINARY = 2, GL_CLOSE = 8, GL_PING = 9, GL_PONG = 10,
} gl_opcode;

typedef enum gl_close_code {
  GL_CLOSE_NORMAL = 1000, GL_CLOSE_GOING_AWAY = 1001, GL_CLOSE_PROTOCOL = 1002, GL_CLOSE_NO_STATUS = 1005, GL_CLOSE_ABNORMAL = 1006,
  GL_CLOSE_BAD_DATA = 1007, GL_CLOSE_TOO_BIG = 1009, GL_CLOSE_INTERNAL = 1011, GL_CLOSE_TRY_LATER = 1013,
} gl_close_code;

typedef struct gl_message {
  struct gl_message *next; /* for a list of the message's owner */
  size_t len, cap;         /* bytes of the message, and bytes for which `bytes` has room */
  bool binary;             /* else text, which is valid UTF-8 */
  char bytes[];
} gl_message;

typedef struct gl_frames_user {
  void (*message)(void *owner, gl_message *m);                               /* a message, which the callee owns (gl_message_free) */
  void (*ping)(void *owner, const uint8_t *bytes, size_t n);                 /* a ping; the bytes are valid during the call */
  void (*close)(void *owner, uint16_t code, const uint8_t *reason, size_t n); /* a close frame; code 0: it has none */
} gl_frames_user;

typedef struct gl_frames {
  const gl_frames_user *user;
  void *owner;
  gl_permessage *permessage; /* of the owner; NULL: no message may be compressed */
  size_t max;       /* bytes of one message, at most */
  gl_message *part; /* the message whose frames are arriving; NULL: none */
  size_t checked;   /* bytes of a text in `part` that are whole characters */
  uint64_t length;  /* bytes of the current frame's payload */
  uint64_t seen;    /* bytes of that payload which have arrived */
  uint8_t head[14]; /* the current frame's head */
  uint8_t head_len; /* bytes of the head that have arrived */
  bool inside;      /* the head is complete, the payload is not */
  bool from_server; /* frames come from a server: they have no mask, while a client's must have one */
  bool compressed;  /* the message in `part` is */
  bool over;        /* a close frame or a fault came: further bytes are ignored */
  uint8_t control[GL_CONTROL_MAX]; /* the payload of a control frame */
} gl_frames;

/* Initializes `f`, which calls the functions of `user` with `owner`. Allocates nothing. */
void gl_frames_init(gl_frames *f, size_t max_message, const gl_frames_user *user, void *owner);

/* Frees the message that is arriving. */
void gl_frames_free(gl_frames *f);

/* Frees a message. Does nothing with NULL. */
void gl_message_free(gl_message *m);

/* Reads bytes from the peer, and calls `user` for each message and control frame that they complete. Returns 0, or the close code with
 * which our side must fail the connection. */
uint16_t gl_frames_feed(gl_frames *f, const char *bytes, size_t n);

#define GL_FRAME_COMPRESSED 0x40 /* the bit beside the opcode of a message that is compressed */

/* Writes the head of an unfragmented frame with `n` bytes of payload; `opcode` may have GL_FRAME_COMPRESSED. `key`: a client's mask, GL_MASK
 * bytes; NULL: none, as servers send it. Returns the number of bytes. */
size_t gl_frames_head(uint8_t head[GL_FRAME_HEAD], unsigned opcode, size_t n, const uint8_t *key);

/* Masks n bytes of payload that begin at the offset `at`, or takes the mask off; `to` may be `from`. */
void gl_frames_mask(char *to, const char *from, size_t n, const uint8_t key[GL_MASK], size_t at);

/* May the code stand in a close frame (RFC 6455, 7.4, and later registrations)? */
bool gl_close_code_ok(int64_t code);

/* Is the text UTF-8 by RFC 3629: without overlong forms, without surrogates, up to U+10FFFF? */
bool gl_is_utf8(const char *text, size_t n);

#endif
