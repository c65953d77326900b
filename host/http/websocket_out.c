/* SPDX-License-Identifier: MIT
 *
 * What a WebSocket sends: frames, masked by a client; messages, compressed where that was agreed on; and what the hub has for it.
 */
#include <string.h>

#include "core/check.h"
#include "http/websocket.h"

/* Draws the mask of a client's frame, which nobody else may foresee (RFC 6455, 10.3). NULL: our side sends none. */
static const uint8_t *draw_key(const gl_ws *ws, uint8_t key[GL_MASK]) {
  if (!ws->client) return NULL;
  if (uv_random(NULL, NULL, key, GL_MASK, 0, NULL) != 0) memset(key, 0, GL_MASK); /* an old kernel that is booting: such a mask is valid, but known */
  return key;
}

/* Writes a frame of a client, whose payload is masked as it is copied. */
static void put_masked(gl_ws *ws, unsigned opcode, const void *bytes, size_t n) {
  uint8_t key[GL_MASK];
  char *room = gl_stream_room(ws->stream, n + GL_FRAME_HEAD);
  if (!room) return;
  size_t head = gl_frames_head((uint8_t *)room, opcode, n, draw_key(ws, key));
  if (n) gl_frames_mask(room + head, bytes, n, key, 0);
  gl_stream_wrote(ws->stream, head + n);
}

void gl_ws_put(gl_ws *ws, gl_opcode opcode, const void *bytes, size_t n) {
  uint8_t head[GL_FRAME_HEAD];
  if (ws->client) {
    put_masked(ws, opcode, bytes, n);
    return;
  }
  gl_stream_write(ws->stream, head, gl_frames_head(head, opcode, n, NULL));
  if (n) gl_stream_write(ws->stream, bytes, n);
}

void gl_ws_put_message(gl_ws *ws, gl_opcode opcode, const void *bytes, size_t n) {
  gl_permessage *p = ws->frames.permessage;
  char *room = gl_permessage_pays(p, n) ? gl_stream_room(ws->stream, n + GL_FRAME_HEAD) : NULL;
  size_t small = room ? gl_permessage_deflate(p, bytes, n, room + GL_FRAME_HEAD) : 0;
  if (!small) {
    gl_ws_put(ws, opcode, bytes, n);
    return;
  }
  uint8_t head[GL_FRAME_HEAD], key[GL_MASK];
  size_t head_len = gl_frames_head(head, opcode | GL_FRAME_COMPRESSED, small, draw_key(ws, key));
  if (ws->client) gl_frames_mask(room + GL_FRAME_HEAD, room + GL_FRAME_HEAD, small, key, 0);
  memmove(room + head_len, room + GL_FRAME_HEAD, small);
  memcpy(room, head, head_len);
  gl_stream_wrote(ws->stream, head_len + small);
}

/* ---- from the hub ---- */

bool gl_ws_has_room(gl_ws *ws, size_t n) {
  size_t max = ws->limits.max_pending;
  if (n > max) return false;
  if (gl_stream_pending(ws->stream) > max - n) gl_stream_flush(ws->stream);
  return gl_ws_is_open(ws) && gl_stream_pending(ws->stream) <= max - n;
}

/* Makes the compressed message of one of n bytes of text. NULL: it would be no smaller, or memory is out. */
static gl_bytes *deflated_of(gl_ws *ws, const char *text, size_t n, size_t *head) {
  char *room = gl_memory_resize(NULL, 0, n);
  size_t small = room ? gl_permessage_deflate_shared(ws->frames.permessage, text, n, room) : 0;
  gl_bytes *b = small ? gl_bytes_new(ws->host, GL_HUB_HEAD + small) : NULL;
  if (b) {
    uint8_t bytes[GL_FRAME_HEAD];
    *head = gl_frames_head(bytes, GL_TEXT | GL_FRAME_COMPRESSED, small, NULL);
    memcpy(b->at + GL_HUB_HEAD - *head, bytes, *head);
    memcpy(b->at + GL_HUB_HEAD, room, small);
  }
  if (room) gl_memory_resize(room, n, 0);
  return b;
}

/* Returns the message as this socket takes it, and sets *head; the first socket that takes it compressed compresses it for all. */
static gl_bytes *suited(gl_ws *ws, gl_hub_message *m, size_t *head) {
  gl_permessage *p = ws->frames.permessage;
  size_t n = m->bytes->n - GL_HUB_HEAD;
  *head = m->head;
  if (ws->client || !gl_permessage_pays(p, n) || !gl_permessage_shares(p)) return m->bytes;
  if (!m->tried) m->deflated = deflated_of(ws, m->bytes->at + GL_HUB_HEAD, n, &m->deflated_head);
  m->tried = true;
  if (!m->deflated) return m->bytes;
  *head = m->deflated_head;
  gl_permessage_shared(p);
  return m->deflated;
}

bool gl_ws_take_published(gl_subscriber *s, gl_hub_message *m) {
  gl_ws *ws = GL_CONTAINER(s, gl_ws, listener);
  size_t head;
  gl_bytes *bytes = suited(ws, m, &head);
  size_t n = bytes->n - GL_HUB_HEAD + head;
  if (!gl_ws_has_room(ws, n)) {
    gl_ws_close(ws, GL_CLOSE_TRY_LATER, "too slow", 8);
    return false;
  }
  if (ws->client) { /* its frames are masked, each with another key */
    if (!gl_stream_room(ws->stream, n + GL_FRAME_HEAD)) return false;
    gl_ws_put_message(ws, GL_TEXT, bytes->at + GL_HUB_HEAD, n - head);
    return !ws->stream->closing;
  }
  return gl_stream_share(ws->stream, bytes, GL_HUB_HEAD - head, n);
}
