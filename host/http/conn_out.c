/* SPDX-License-Identifier: MIT
 *
 * What leaves on a connection: messages, which become bytes in the stream's output, without a copy where the head is not held.
 */
#include <stdlib.h>
#include <string.h>

#include "h1/status.h"
#include "h1/writer.h"
#include "http/conn.h"
#include "http/server.h"

#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" /* RFC 6455, 4.2.2 */

#define INTERIM_ROOM 64 /* bytes of a status line and a blank one, at most */

/* ---- heads ---- */

/* Returns how many bytes fields take. */
static inline size_t fields_room(const gl_fields *fields) {
  size_t n = 0;
  for (uint32_t i = 0; i < fields->n; i++) n += (size_t)fields->list[i].name_len + fields->list[i].value_len + 4;
  return n;
}

static inline char *put_fields(char *to, const gl_fields *fields) {
  for (uint32_t i = 0; i < fields->n; i++) {
    const gl_field *f = &fields->list[i];
    to = gl_h1_put_field(to, fields->text + f->name, f->name_len, fields->text + f->value, f->value_len);
  }
  return to;
}

/* Returns how many bytes a head takes at most; 256 of them are for the fields that the carrier writes itself. */
static inline size_t head_room(const gl_message_head *m, size_t type_len) {
  return 256 + sizeof UPGRADE + type_len + fields_room(&m->fields);
}

static inline size_t type_len(const gl_message_head *m) { return m->type ? strlen(m->type) : 0; }

/* Writes the head but for the fields that frame the body and the blank line, and returns the end. */
static inline char *put_head(char *to, gl_conn *c, const gl_message_head *m, size_t type) {
  to = gl_h1_put_status_line(to, m->status);
  to = gl_h1_put_date(to, &c->server->date);
  if (m->close || c->r->wants_continue || c->r->x.in == GL_IN_BAD) c->close_after = true; /* else nobody can tell where the next request begins */
  if (c->close_after) to = GL_PUT(to, "Connection: close\r\n");
  else if (c->r->x.minor == 0) to = GL_PUT(to, "Connection: keep-alive\r\n");
  if (m->upgrade) to = GL_PUT(to, UPGRADE);
  to = put_fields(to, &m->fields);
  if (!m->type) return to;
  to = GL_PUT(to, "Content-Type: ");
  to = gl_put(to, m->type, type);
  return GL_PUT(to, "\r\n");
}

int gl_conn_send_interim(gl_exchange *x, int status, const gl_fields *fields) {
  gl_conn *c = gl_conn_of(x);
  if (!c->stream) return 0;
  char *start = gl_stream_room(c->stream, INTERIM_ROOM + fields_room(fields)), *to = start;
  if (!start) return UV_ENOMEM;
  to = put_fields(gl_h1_put_status_line(to, status), fields);
  to = GL_PUT(to, "\r\n");
  gl_stream_wrote(c->stream, (size_t)(to - start));
  return 0;
}

/* ---- a whole message ---- */

int gl_conn_send(gl_exchange *x, const gl_message_head *m, const char *body, size_t n) {
  gl_conn *c = gl_conn_of(x);
  bool silent = !body || x->head_only || gl_status_is_bodiless(m->status);
  if (!c->stream) {
    x->out = GL_OUT_DONE;
    return 0;
  }
  size_t type = type_len(m);
  char *start = gl_stream_room(c->stream, head_room(m, type) + (silent ? 0 : n)), *to = start;
  if (!start) return UV_ENOMEM;
  x->out = GL_OUT_DONE;
  to = put_head(to, c, m, type);
  if (m->length != GL_LENGTH_UNKNOWN) to = gl_h1_put_length(to, (uint64_t)m->length);
  to = GL_PUT(to, "\r\n");
  if (!silent) to = gl_put(to, body, n);
  gl_stream_wrote(c->stream, (size_t)(to - start));
  return 0;
}

/* ---- one in pieces ---- */

static uint8_t mode_of(const gl_exchange *x, const gl_message_head *m) {
  if (gl_status_is_bodiless(m->status)) return GL_BODY_NONE;
  if (m->length != GL_LENGTH_UNKNOWN) return GL_BODY_LENGTH;
  return x->minor >= 1 ? GL_BODY_CHUNKED : GL_BODY_UNTIL_CLOSE;
}

static size_t put_stream_head(char *start, gl_conn *c, const gl_message_head *m) {
  if (c->r->out.mode == GL_BODY_UNTIL_CLOSE) c->close_after = true;
  char *to = put_head(start, c, m, type_len(m));
  if (c->r->out.mode == GL_BODY_LENGTH) to = gl_h1_put_length(to, c->r->out.owed);
  if (c->r->out.mode == GL_BODY_CHUNKED) to = GL_PUT(to, "Transfer-Encoding: chunked\r\n");
  to = GL_PUT(to, "\r\n");
  return (size_t)(to - start);
}

int gl_conn_send_head(gl_exchange *x, const gl_message_head *m) {
  gl_conn *c = gl_conn_of(x);
  size_t room = head_room(m, type_len(m));
  bool silent = x->head_only || gl_status_is_bodiless(m->status);
  if (!c->stream) {
    x->out = GL_OUT_DONE;
    return 0;
  }
  char *to = gl_stream_room(c->stream, room), *held = m->hold && !silent ? malloc(room) : NULL;
  if (!to) {
    free(held);
    return UV_ENOMEM;
  }
  c->r->out = (gl_body_out){.mode = mode_of(x, m), .owed = m->length == GL_LENGTH_UNKNOWN ? 0 : (uint64_t)m->length};
  c->r->answer_at = c->stream->written;
  size_t n = put_stream_head(held ? held : to, c, m);
  x->out = silent ? GL_OUT_DONE : GL_OUT_BODY;
  c->r->held = held;
  c->r->held_len = (uint32_t)n;
  if (!held) gl_stream_wrote(c->stream, n);
  return 0;
}

void gl_conn_drop_held(gl_conn *c) {
  free(c->r->held);
  c->r->held = NULL;
}

static void release_held(gl_conn *c) {
  if (!c->r->held) return;
  c->r->answer_at = c->stream->written;
  gl_stream_write(c->stream, c->r->held, c->r->held_len);
  gl_conn_drop_held(c);
}

bool gl_conn_take_back(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  if (!c->stream || (!c->r->held && !gl_stream_retract(c->stream, c->r->answer_at, NULL))) return false;
  gl_conn_drop_held(c);
  c->r->out = (gl_body_out){.mode = GL_BODY_NONE};
  x->out = GL_OUT_HEAD;
  return true;
}

int gl_conn_send_body(gl_exchange *x, const char *bytes, size_t n) {
  gl_conn *c = gl_conn_of(x);
  gl_stream *s = c->stream;
  if (s && !gl_stream_room(s, c->r->held_len + n + GL_BODY_OUT_FRAME)) return UV_ENOMEM;
  if (!gl_body_out_takes(&c->r->out, n)) return UV_EMSGSIZE;
  if (s) release_held(c);
  gl_body_out_send(&c->r->out, s, bytes, n);
  return 0;
}

int gl_conn_send_file(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n) {
  gl_conn *c = gl_conn_of(x);
  gl_stream *s = c->stream;
  if (!gl_body_out_takes(&c->r->out, n)) return UV_EMSGSIZE;
  if (s && !gl_stream_room(s, c->r->held_len + GL_BODY_OUT_FRAME)) return UV_ENOMEM;
  if (s) release_held(c);
  return gl_body_out_send_file(&c->r->out, s, file, at, n) ? 0 : UV_ENOMEM;
}

uint64_t gl_conn_finish(gl_exchange *x, const gl_fields *trailers) {
  gl_conn *c = gl_conn_of(x);
  if (c->r->out.mode == GL_BODY_LENGTH && c->r->out.owed) return c->r->out.owed;
  if (c->stream) release_held(c);
  gl_body_out_end(&c->r->out, c->stream, trailers);
  x->out = GL_OUT_DONE;
  return 0;
}

void gl_conn_cut(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  x->out = GL_OUT_DONE;
  if (!c->stream) return;
  if (c->r->out.mode == GL_BODY_UNTIL_CLOSE) gl_stream_reset(c->stream); /* a regular end of the connection would look like the end of the body */
  else gl_stream_close(c->stream);
}

bool gl_conn_is_full(gl_exchange *x) {
  gl_conn *c = gl_conn_of(x);
  return c->stream && gl_stream_full(c->stream);
}

bool gl_conn_is_open(const gl_exchange *x) {
  const gl_stream *s = gl_conn_of(x)->stream;
  return s && !s->broken && !s->closing;
}
