/* SPDX-License-Identifier: MIT */
#include "http/frames.h"

#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

static bool is_ascii8(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return (word & 0x8080808080808080u) == 0;
}

bool gl_is_utf8(const char *text, size_t n) {
  const unsigned char *p = (const unsigned char *)text, *end = p + n;
  while (p < end) {
    while (end - p >= 8 && is_ascii8((const char *)p)) p += 8;
    if (p == end) break;
    if (*p < 0x80) {
      p++;
      continue;
    }
    int more = *p >= 0xC2 && *p <= 0xDF ? 1 : (*p & 0xF0) == 0xE0 ? 2 : *p >= 0xF0 && *p <= 0xF4 ? 3 : 0;
    if (!more || end - p <= more) return false;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return false;
    for (int i = 1; i <= more; i++)
      if ((p[i] & 0xC0) != 0x80) return false;
    p += more + 1;
  }
  return true;
}

bool gl_close_code_ok(int64_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* ---- receiving ---- */

static ssize_t on_want(uint8_t *buf, size_t n, int flags, void *data) {
  gl_frames *f = data;
  (void)flags;
  if (!f->in_len) return -1;
  if (n > f->in_len) n = f->in_len;
  memcpy(buf, f->in, n);
  f->in += n;
  f->in_len -= n;
  return (ssize_t)n;
}

bool gl_frames_init(gl_frames *f, size_t max_message, const gl_frames_user *user, void *owner) {
  static const struct wslay_frame_callbacks callbacks = {NULL, on_want, NULL};
  *f = (gl_frames){.max = max_message, .user = user, .owner = owner};
  return wslay_frame_context_init(&f->ctx, &callbacks, f) == 0;
}

void gl_frames_free(gl_frames *f) {
  wslay_frame_context_free(f->ctx);
  free(f->part);
}

/* Room for a frame of n bytes. Frames that follow one another double it, so that a message in many small frames is not
 * copied again and again. */
static uint16_t reserve(gl_frames *f, uint64_t n) {
  size_t len = f->part ? f->part->len : 0, cap = f->part ? f->part->cap : 0;
  if (n > f->max || len > f->max - n) return WSLAY_CODE_MESSAGE_TOO_BIG;
  size_t need = len + (size_t)n;
  if (f->part && need <= cap) return 0;
  if (need < 2 * cap) need = 2 * cap;
  gl_message *m = realloc(f->part, sizeof *m + need);
  if (!m) return WSLAY_CODE_INTERNAL_SERVER_ERROR;
  f->part = m;
  m->next = NULL;
  m->len = len;
  m->cap = need;
  return 0;
}

static uint16_t begin_frame(gl_frames *f, const struct wslay_frame_iocb *io) {
  f->inside = true;
  f->seen = 0;
  f->control_len = 0;
  if (io->rsv || !io->mask) return WSLAY_CODE_PROTOCOL_ERROR;
  bool first = io->opcode == WSLAY_TEXT_FRAME || io->opcode == WSLAY_BINARY_FRAME;
  switch (io->opcode) {
    case WSLAY_CONNECTION_CLOSE: case WSLAY_PING: case WSLAY_PONG: return 0; /* wslay has seen to length and fin */
    case WSLAY_TEXT_FRAME: case WSLAY_BINARY_FRAME: case WSLAY_CONTINUATION_FRAME: break;
    default: return WSLAY_CODE_PROTOCOL_ERROR;
  }
  if (first == (f->part != NULL)) return WSLAY_CODE_PROTOCOL_ERROR;
  uint16_t wrong = reserve(f, io->payload_length);
  if (!wrong && first) f->part->binary = io->opcode == WSLAY_BINARY_FRAME;
  return wrong;
}

static uint16_t end_message(gl_frames *f) {
  gl_message *m = f->part;
  if (!m->binary && !gl_is_utf8(m->bytes, m->len)) return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
  f->part = NULL;
  f->user->message(f->owner, m);
  return 0;
}

static uint16_t end_close(gl_frames *f) {
  size_t n = f->control_len;
  const uint8_t *bytes = f->control;
  uint16_t code = 0;
  if (n >= 2) code = (uint16_t)(bytes[0] << 8 | bytes[1]);
  if (n == 1 || (n && !gl_close_code_ok(code))) return WSLAY_CODE_PROTOCOL_ERROR;
  if (n > 2 && !gl_is_utf8((const char *)bytes + 2, n - 2)) return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
  f->over = true;
  f->user->close(f->owner, code, bytes + 2, n > 2 ? n - 2 : 0);
  return 0;
}

static uint16_t end_control(gl_frames *f, uint8_t opcode) {
  if (opcode == WSLAY_CONNECTION_CLOSE) return end_close(f);
  if (opcode == WSLAY_PING) f->user->ping(f->owner, f->control, f->control_len);
  return 0;
}

static uint16_t on_piece(gl_frames *f, const struct wslay_frame_iocb *io) {
  bool control = wslay_is_ctrl_frame(io->opcode);
  uint16_t wrong = f->inside ? 0 : begin_frame(f, io);
  if (wrong) return wrong;
  if (control) {
    memcpy(f->control + f->control_len, io->data, io->data_length);
    f->control_len = (uint8_t)(f->control_len + io->data_length);
  } else {
    memcpy(f->part->bytes + f->part->len, io->data, io->data_length);
    f->part->len += io->data_length;
  }
  f->seen += io->data_length;
  if (f->seen < io->payload_length) return 0;
  f->inside = false;
  if (control) return end_control(f, io->opcode);
  return io->fin ? end_message(f) : 0;
}

uint16_t gl_frames_feed(gl_frames *f, const char *bytes, size_t n) {
  f->in = bytes;
  f->in_len = n;
  while (!f->over) {
    struct wslay_frame_iocb io;
    ssize_t got = wslay_frame_recv(f->ctx, &io);
    if (got == WSLAY_ERR_WANT_READ) return 0;
    uint16_t wrong = got < 0 ? WSLAY_CODE_PROTOCOL_ERROR : on_piece(f, &io);
    if (wrong) f->over = true;
    if (wrong) return wrong;
  }
  return 0;
}

/* ---- sending ---- */

size_t gl_frames_write(gl_stream *s, uint8_t opcode, const void *bytes, size_t n) {
  uint8_t head[10] = {(uint8_t)(0x80 | opcode)};
  int more = n < 126 ? 0 : n < 65536 ? 2 : 8;
  head[1] = (uint8_t)(more == 0 ? n : more == 2 ? 126 : 127);
  for (int i = 0; i < more; i++) head[2 + i] = (uint8_t)(n >> 8 * (more - 1 - i));
  size_t head_len = 2 + (size_t)more;
  gl_stream_write(s, head, head_len);
  if (n) gl_stream_write(s, bytes, n);
  return head_len + n;
}
