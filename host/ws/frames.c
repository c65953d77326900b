/* SPDX-License-Identifier: MIT */
#include "ws/frames.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/block.h"

#define EXPAND 512  /* bytes of room for decompressed bytes, at least */
#define UNMASK 4096 /* bytes that are decompressed at once */

/* ---- text ---- */

static bool is_ascii8(const unsigned char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return (word & 0x8080808080808080u) == 0;
}

/* Returns how many bytes of a character follow its first byte; -1: no character begins with that byte. */
static int followers(unsigned char first) {
  if (first < 0x80) return 0;
  if (first >= 0xC2 && first <= 0xDF) return 1;
  if ((first & 0xF0) == 0xE0) return 2;
  return first >= 0xF0 && first <= 0xF4 ? 3 : -1;
}

static bool may_follow(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return (second & 0xC0) == 0x80;
  }
}

/* Is the text UTF-8, or the beginning of one? Sets *whole to the number of its bytes that are whole characters. */
static bool scan_utf8(const char *text, size_t n, size_t *whole) {
  const unsigned char *start = (const unsigned char *)text, *p = start, *end = p + n;
  for (;;) {
    while (end - p >= 8 && is_ascii8(p)) p += 8;
    *whole = (size_t)(p - start);
    if (p == end) return true;
    int more = followers(*p);
    if (more < 0) return false;
    for (int i = 1; i <= more; i++) {
      if (p + i == end) return true;
      if (i == 1 ? !may_follow(p[0], p[1]) : (p[i] & 0xC0) != 0x80) return false;
    }
    p += more + 1;
  }
}

bool gl_is_utf8(const char *text, size_t n) {
  size_t whole;
  return scan_utf8(text, n, &whole) && whole == n;
}

bool gl_close_code_ok(int64_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* ---- the message ---- */

void gl_frames_init(gl_frames *f, size_t max_message, const gl_frames_user *user, void *owner) {
  *f = (gl_frames){.max = max_message, .user = user, .owner = owner};
}

void gl_message_free(gl_message *m) {
  if (m) gl_memory_resize(m, sizeof *m + m->cap, 0);
}

void gl_frames_free(gl_frames *f) { gl_message_free(f->part); }

static gl_opcode opcode_of(const gl_frames *f) { return (gl_opcode)(f->head[0] & 0x0F); }
static bool is_control(const gl_frames *f) { return opcode_of(f) >= GL_CLOSE; }
static bool is_last(const gl_frames *f) { return f->head[0] & 0x80; }
static bool is_compressed(const gl_frames *f) { return f->head[0] & GL_FRAME_COMPRESSED; }

/* Makes room for `n` more bytes of the message. The room doubles up to `most`, so that a message in many small pieces is not copied for each
 * of them. False: out of memory. */
static bool grow(gl_frames *f, size_t n, size_t most) {
  size_t len = f->part ? f->part->len : 0, cap = f->part ? f->part->cap : 0, want = 2 * cap;
  if (f->part && n <= cap - len) return true;
  if (want > most) want = most;
  if (want < len + n) want = len + n;
  gl_message *m = gl_memory_resize(f->part, f->part ? sizeof *m + cap : 0, sizeof *m + want);
  if (!m) return false;
  f->part = m;
  m->next = NULL;
  m->len = len;
  m->cap = want;
  return true;
}

static bool reserve(gl_frames *f, size_t n) {
  size_t len = f->part ? f->part->len : 0;
  return grow(f, n, is_last(f) ? len + (size_t)(f->length - f->seen) : f->max);
}

void gl_frames_mask(char *to, const char *from, size_t n, const uint8_t key[GL_MASK], size_t at) {
  uint8_t turned[8];
  uint64_t word, mask;
  size_t i = 0;
  for (size_t k = 0; k < sizeof turned; k++) turned[k] = key[(at + k) & 3];
  memcpy(&mask, turned, sizeof mask);
  for (; n - i >= sizeof word; i += sizeof word) {
    memcpy(&word, from + i, sizeof word);
    word ^= mask;
    memcpy(to + i, &word, sizeof word);
  }
  for (; i < n; i++) to[i] = (char)(from[i] ^ turned[i & 7]);
}

/* Checks the new bytes of a text, the last of which may be the beginning of a character. */
static uint16_t check_text(gl_frames *f) {
  gl_message *m = f->part;
  size_t whole;
  if (m->binary) return 0;
  if (!scan_utf8(m->bytes + f->checked, m->len - f->checked, &whole)) return GL_CLOSE_BAD_DATA;
  f->checked += whole;
  return 0;
}

/* Decompresses the input, or with none the end of the message, into the message. The message may become a byte longer than `max`, which tells
 * that it is too big. */
static uint16_t expand(gl_frames *f, const char *bytes, size_t n) {
  gl_coding_io io = {.in = (const unsigned char *)bytes, .in_left = n};
  for (;;) {
    gl_message *m = f->part;
    size_t left = f->max + 1 - m->len;
    if (m->len == m->cap && !grow(f, left < EXPAND ? left : EXPAND, f->max + 1)) return GL_CLOSE_INTERNAL;
    m = f->part;
    io.out = (unsigned char *)m->bytes + m->len;
    io.out_left = m->cap - m->len;
    gl_decoded news = bytes ? gl_permessage_inflate(f->permessage, &io) : gl_permessage_end(f->permessage, &io);
    m->len = m->cap - io.out_left;
    if (m->len > f->max) return GL_CLOSE_TOO_BIG;
    switch (news) {
      case GL_DECODED_MORE: return check_text(f);
      case GL_DECODED_FULL: break;
      case GL_DECODED_NO_MEMORY: return GL_CLOSE_INTERNAL;
      case GL_DECODED_BROKEN: return GL_CLOSE_BAD_DATA;
    }
  }
}

static uint16_t end_message(gl_frames *f) {
  if (f->compressed) {
    uint16_t wrong = expand(f, NULL, 0);
    if (wrong) return wrong;
  }
  gl_message *m = f->part;
  if (!m->binary && f->checked != m->len) return GL_CLOSE_BAD_DATA;
  f->part = NULL;
  f->user->message(f->owner, m);
  return 0;
}

/* ---- frames ---- */

/* Returns how many bytes of the head have the length of the payload, if seven bits do not suffice. */
static size_t length_bytes(const gl_frames *f) {
  uint8_t n = f->head[1] & 0x7F;
  return n < 126 ? 0 : n == 126 ? 2 : 8;
}

static uint16_t check_first(const gl_frames *f) {
  bool first = opcode_of(f) == GL_TEXT || opcode_of(f) == GL_BINARY;
  if (f->head[0] & 0x30) return GL_CLOSE_PROTOCOL; /* a reserved bit is set, although no extension that has it was agreed on */
  if (is_compressed(f) && !(f->permessage && first)) return GL_CLOSE_PROTOCOL; /* RFC 7692, 6.1: only the first frame of a message says so */
  switch (opcode_of(f)) {
    case GL_TEXT: case GL_BINARY: return f->part ? GL_CLOSE_PROTOCOL : 0;
    case GL_CONTINUATION: return f->part ? 0 : GL_CLOSE_PROTOCOL;
    case GL_CLOSE: case GL_PING: case GL_PONG: return is_last(f) ? 0 : GL_CLOSE_PROTOCOL;
    default: return GL_CLOSE_PROTOCOL;
  }
}

static uint16_t check_second(const gl_frames *f) {
  bool masked = f->head[1] & 0x80;
  return masked == f->from_server || (is_control(f) && (f->head[1] & 0x7F) > GL_CONTROL_MAX) ? GL_CLOSE_PROTOCOL : 0;
}

static uint16_t check_length(gl_frames *f) {
  size_t n = length_bytes(f);
  uint64_t length = n ? 0 : f->head[1] & 0x7F;
  for (size_t i = 0; i < n; i++) length = length << 8 | f->head[2 + i];
  if (n && length < (n == 2 ? 126u : 65536u)) return GL_CLOSE_PROTOCOL; /* the length has more bytes than it needs */
  if (length >> 63) return GL_CLOSE_PROTOCOL;
  f->length = length;
  size_t len = f->part ? f->part->len : 0;
  if (f->part ? f->compressed : is_compressed(f)) return 0; /* what it becomes tells whether it is too big */
  if (!is_control(f) && (length > f->max || len > f->max - length)) return GL_CLOSE_TOO_BIG;
  return 0;
}

/* Begins the payload, and with the first frame of a message the message. */
static uint16_t begin_payload(gl_frames *f) {
  f->inside = true;
  f->seen = 0;
  if (is_control(f) || f->part) return 0;
  f->compressed = is_compressed(f);
  if (!(f->compressed ? grow(f, 0, 0) : reserve(f, 0))) return GL_CLOSE_INTERNAL;
  f->part->binary = opcode_of(f) == GL_BINARY;
  f->checked = 0;
  return 0;
}

/* Reads one more byte of the head, and begins the payload after the last one. */
static uint16_t take_head(gl_frames *f, char byte) {
  f->head[f->head_len++] = (uint8_t)byte;
  if (f->head_len == 1) return check_first(f);
  uint16_t wrong = f->head_len == 2 ? check_second(f) : 0;
  size_t known = 2 + length_bytes(f);
  if (!wrong && f->head_len == known) wrong = check_length(f);
  return wrong || f->head_len < known + (f->from_server ? 0 : GL_MASK) ? wrong : begin_payload(f);
}

/* Copies a piece of the payload, without its mask. */
static void unmask(const gl_frames *f, char *to, const char *from, size_t n) {
  if (f->from_server) memcpy(to, from, n);
  else gl_frames_mask(to, from, n, f->head + f->head_len - GL_MASK, (size_t)f->seen);
}

static uint16_t take_compressed(gl_frames *f, const char *bytes, size_t n) {
  char plain[UNMASK];
  uint16_t wrong = 0;
  for (size_t at = 0, some; at < n && !wrong; at += some) {
    some = n - at < UNMASK ? n - at : UNMASK;
    unmask(f, plain, bytes + at, some);
    f->seen += some;
    wrong = expand(f, plain, some);
  }
  return wrong;
}

static uint16_t take_payload(gl_frames *f, const char *bytes, size_t n) {
  if (is_control(f)) {
    GL_CHECK(f->seen + n <= GL_CONTROL_MAX);
    unmask(f, (char *)f->control + f->seen, bytes, n);
    f->seen += n;
    return 0;
  }
  if (f->compressed) return take_compressed(f, bytes, n);
  if (!reserve(f, n)) return GL_CLOSE_INTERNAL;
  unmask(f, f->part->bytes + f->part->len, bytes, n);
  f->part->len += n;
  f->seen += n;
  return check_text(f);
}

static uint16_t end_close(gl_frames *f) {
  size_t n = (size_t)f->length;
  const uint8_t *bytes = f->control;
  uint16_t code = 0;
  if (n >= 2) code = (uint16_t)(bytes[0] << 8 | bytes[1]);
  if (n == 1 || (n && !gl_close_code_ok(code))) return GL_CLOSE_PROTOCOL;
  if (n > 2 && !gl_is_utf8((const char *)bytes + 2, n - 2)) return GL_CLOSE_BAD_DATA;
  f->over = true;
  f->user->close(f->owner, code, bytes + 2, n > 2 ? n - 2 : 0);
  return 0;
}

static uint16_t end_frame(gl_frames *f) {
  gl_opcode opcode = opcode_of(f);
  f->inside = false;
  f->head_len = 0;
  if (opcode == GL_CLOSE) return end_close(f);
  if (opcode == GL_PING) f->user->ping(f->owner, f->control, (size_t)f->length);
  if (opcode >= GL_CLOSE) return 0;
  return is_last(f) ? end_message(f) : 0;
}

uint16_t gl_frames_feed(gl_frames *f, const char *bytes, size_t n) {
  uint16_t wrong = 0;
  while (n && !f->over && !wrong) {
    size_t used = 1;
    if (!f->inside) {
      wrong = take_head(f, *bytes);
    } else {
      used = f->length - f->seen < n ? (size_t)(f->length - f->seen) : n;
      wrong = take_payload(f, bytes, used);
    }
    bytes += used;
    n -= used;
    if (!wrong && f->inside && f->seen == f->length) wrong = end_frame(f);
  }
  if (wrong) f->over = true;
  return wrong;
}

/* ---- sending ---- */

size_t gl_frames_head(uint8_t head[GL_FRAME_HEAD], unsigned opcode, size_t n, const uint8_t *key) {
  int more = n < 126 ? 0 : n < 65536 ? 2 : 8;
  head[0] = (uint8_t)(0x80 | opcode);
  head[1] = (uint8_t)(more == 0 ? n : more == 2 ? 126 : 127);
  for (int i = 0; i < more; i++) head[2 + i] = (uint8_t)(n >> 8 * (more - 1 - i));
  if (!key) return 2 + (size_t)more;
  head[1] |= 0x80;
  memcpy(head + 2 + more, key, GL_MASK);
  return 2 + (size_t)more + GL_MASK;
}
