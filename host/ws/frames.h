/* SPDX-License-Identifier: MIT
 *
 * WebSocket frames and messages as a server sees them (RFC 6455, 5): takes the frames apart, puts messages together and
 * knows which frame may follow which. What is wrong is told at the first byte that makes it so: a length beyond the limit at
 * the frame's head, bad UTF-8 in the middle of a message. No Lua and no waiting here.
 */
#ifndef GL_WS_FRAMES_H
#define GL_WS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GL_CONTROL_MAX 125 /* bytes a control frame carries */
#define GL_REASON_MAX 123  /* of those, bytes of a close reason */
#define GL_FRAME_HEAD 10   /* bytes the head of a frame we send has at most */

typedef enum gl_opcode {
  GL_CONTINUATION = 0, GL_TEXT = 1, GL_BINARY = 2, GL_CLOSE = 8, GL_PING = 9, GL_PONG = 10,
} gl_opcode;

typedef enum gl_close_code {
  GL_CLOSE_NORMAL = 1000, GL_CLOSE_GOING_AWAY = 1001, GL_CLOSE_PROTOCOL = 1002, GL_CLOSE_NO_STATUS = 1005, GL_CLOSE_ABNORMAL = 1006,
  GL_CLOSE_BAD_DATA = 1007, GL_CLOSE_TOO_BIG = 1009, GL_CLOSE_INTERNAL = 1011, GL_CLOSE_TRY_LATER = 1013,
} gl_close_code;

typedef struct gl_message {
  struct gl_message *next; /* the owner's */
  size_t len, cap;
  bool binary;
  char bytes[];
} gl_message;

typedef struct gl_frames_user {
  void (*message)(void *owner, gl_message *m);                               /* the user frees it, with gl_message_free */
  void (*ping)(void *owner, const uint8_t *bytes, size_t n);
  void (*close)(void *owner, uint16_t code, const uint8_t *reason, size_t n); /* code 0: none was given */
} gl_frames_user;

typedef struct gl_frames {
  const gl_frames_user *user;
  void *owner;
  size_t max;       /* bytes of one message */
  gl_message *part; /* the message whose frames are arriving */
  size_t checked;   /* bytes of it that are whole characters */
  uint64_t length;  /* of the current frame's payload */
  uint64_t seen;    /* bytes of that so far */
  uint8_t head[14]; /* of the current frame */
  uint8_t head_len; /* bytes of it so far */
  bool inside;      /* the head is complete, the payload is not */
  bool over;        /* a close frame came, or something that must not: the rest is not looked at */
  uint8_t control[GL_CONTROL_MAX];
} gl_frames;

void gl_frames_init(gl_frames *f, size_t max_message, const gl_frames_user *user, void *owner);
void gl_frames_free(gl_frames *f);

void gl_message_free(gl_message *m);

/* Bytes from the peer: calls `user` for what is complete. 0, or the close code the connection must fail with. */
uint16_t gl_frames_feed(gl_frames *f, const char *bytes, size_t n);

/* The head of a whole frame with n bytes of payload. Returns how many bytes it is. */
size_t gl_frames_head(uint8_t head[GL_FRAME_HEAD], gl_opcode opcode, size_t n);

/* May this code stand in a close frame (RFC 6455, 7.4, and those registered since)? */
bool gl_close_code_ok(int64_t code);

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool gl_is_utf8(const char *text, size_t n);

#endif
