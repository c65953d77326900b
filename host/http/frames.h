/* SPDX-License-Identifier: MIT
 *
 * WebSocket messages as a server sees them (RFC 6455, 5): wslay takes the frames apart, this puts messages together
 * and knows which frame may follow which. No Lua and no waiting here.
 */
#ifndef GL_HTTP_FRAMES_H
#define GL_HTTP_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wslay/wslay.h>

#include "net/stream.h"

#define GL_CONTROL_MAX 125 /* bytes a control frame carries */
#define GL_REASON_MAX 123  /* of those, bytes of a close reason */

typedef struct gl_message {
  struct gl_message *next; /* the owner's */
  size_t len, cap;
  bool binary;
  char bytes[];
} gl_message;

typedef struct gl_frames_user {
  void (*message)(void *owner, gl_message *m);                               /* the user frees it */
  void (*ping)(void *owner, const uint8_t *bytes, size_t n);
  void (*close)(void *owner, uint16_t code, const uint8_t *reason, size_t n); /* code 0: none was given */
} gl_frames_user;

typedef struct gl_frames {
  wslay_frame_context_ptr ctx;
  const gl_frames_user *user;
  void *owner;
  const char *in;    /* bytes being fed */
  size_t in_len;
  size_t max;        /* bytes of one message */
  gl_message *part;  /* the message whose frames are arriving */
  uint64_t seen;     /* payload bytes of the current frame so far */
  bool inside;       /* the current frame is not complete */
  bool over;         /* a close frame came, or something that must not: the rest is not looked at */
  uint8_t control_len;
  uint8_t control[GL_CONTROL_MAX];
} gl_frames;

/* False: out of memory. */
bool gl_frames_init(gl_frames *f, size_t max_message, const gl_frames_user *user, void *owner);
void gl_frames_free(gl_frames *f);

/* Bytes from the peer: calls `user` for what is complete. 0, or the close code the connection must fail with. */
uint16_t gl_frames_feed(gl_frames *f, const char *bytes, size_t n);

/* One whole frame to the peer. Returns how many bytes it is. */
size_t gl_frames_write(gl_stream *s, uint8_t opcode, const void *bytes, size_t n);

/* May this code stand in a close frame (RFC 6455, 7.4, and those registered since)? */
bool gl_close_code_ok(int64_t code);

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool gl_is_utf8(const char *text, size_t n);

#endif
