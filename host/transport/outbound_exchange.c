/* SPDX-License-Identifier: MIT
 *
 * The exchange on a connection to a server: requests become bytes in the stream's output, and bytes become responses.
 */
#include <string.h>

#include "h1/fields.h"
#include "net/file_out.h"
#include "transport/outbound.h"
#include "transport/roundtrip.h"

#define BODY_HIGH ((size_t)64 * 1024) /* bytes of a body that wait without being wanted, from which on the stream is not read */

static const gl_response_user response_user;
static const gl_carrier carrier;

static inline gl_outbound *outbound_of(const gl_exchange *x) { return GL_CONTAINER(x, gl_outbound, x); }

/* ---- life ---- */

void gl_outbound_clear(gl_outbound *c) {
  gl_heads *heads = &c->pool->heads;
  if (c->x.head && c->x.head != c->reader.h1.head) gl_heads_give(heads, c->x.head);
  if (c->reader.h1.head) gl_heads_give(heads, c->reader.h1.head);
  if (c->x.trailers) gl_heads_give(heads, c->x.trailers);
  c->x.head = c->x.trailers = c->reader.h1.head = NULL;
  gl_response_free(&c->reader);
  gl_buf_free(&c->x.body);
}

void gl_outbound_renew(gl_outbound *c) {
  gl_outbound_clear(c);
  c->began = c->stream->taken;
  c->began_at = c->stream->written;
  c->reusable = false;
  c->out = (gl_body_out){.mode = GL_BODY_NONE};
  c->x = (gl_exchange){.carrier = &carrier, .user = &gl_roundtrip_user, .context = c->pool, .heads = &c->pool->heads};
}

/* Is a user there, the same as when `served` was read? */
static bool is_serving(const gl_outbound *c, uint32_t served) { return c->state == GL_OUTBOUND_BUSY && c->served == served; }

/* Is all of the request written? A body of known length is with its last byte, whether its writer has come to say that it is finished or not. */
static bool is_whole(const gl_outbound *c) {
  return c->x.out == GL_OUT_DONE || (c->x.out == GL_OUT_BODY && c->out.mode == GL_BODY_LENGTH && !c->out.owed && !c->stream->file && !c->stream->file_cut);
}

static void outbound_release(gl_exchange *x, bool failed) {
  gl_outbound *c = outbound_of(x);
  gl_stream *s = c->stream;
  bool usable = c->reusable && x->in == GL_IN_DONE && is_whole(c) && !s->ended && !s->broken && !s->mute && !s->closing;
  (void)failed;
  if (c->served++ && x->begun) c->origin->departs = false;
  gl_outbound_clear(c);
  if (usable && gl_stream_read(s) == 0 && gl_pool_keep(c)) return;
  gl_outbound_drop(c);
}

/* ---- the request ---- */

/* Returns how many bytes a head takes at most. */
static size_t head_room(const gl_message_head *m) {
  size_t n = 256 + gl_text_len(m->method) + gl_text_len(m->target) + gl_text_len(m->authority);
  for (uint32_t i = 0; i < m->fields.n; i++) n += (size_t)m->fields.list[i].name_len + m->fields.list[i].value_len + 4;
  return n;
}

static char *put_head(char *to, const gl_message_head *m, uint8_t mode) {
  to = gl_h1_put_request_line(to, m->method, m->target);
  to = gl_h1_put_field(to, "Host", 4, m->authority.at, gl_text_len(m->authority));
  for (uint32_t i = 0; i < m->fields.n; i++) {
    const gl_field *f = &m->fields.list[i];
    to = gl_h1_put_field(to, m->fields.text + f->name, f->name_len, m->fields.text + f->value, f->value_len);
  }
  if (m->length != GL_LENGTH_UNKNOWN) to = gl_h1_put_length(to, (uint64_t)m->length);
  else if (mode == GL_BODY_CHUNKED) to = GL_PUT(to, "Transfer-Encoding: chunked\r\n");
  if (m->expect) to = GL_PUT(to, "Expect: 100-continue\r\n");
  if (m->takes_trailers) to = GL_PUT(to, "TE: trailers\r\nConnection: TE\r\n");
  if (m->close) to = GL_PUT(to, "Connection: close\r\n");
  return GL_PUT(to, "\r\n");
}

/* Prepares for the response to a request. False: out of memory. */
static bool expect_response(gl_outbound *c, const gl_message_head *m) {
  gl_head *head = gl_heads_take(c->x.heads);
  if (!head) return false;
  c->x.head_only = gl_text_is(m->method, "HEAD");
  gl_response_begin(&c->reader, head, c->x.limits, c->x.head_only ? GL_ANSWERS_HEAD : GL_ANSWERS_ANY);
  c->reader.user = &response_user;
  c->reader.owner = c;
  return true;
}

static int outbound_send(gl_exchange *x, const gl_message_head *m, const char *body, size_t n) {
  gl_outbound *c = outbound_of(x);
  char *start = gl_stream_room(c->stream, head_room(m) + n), *to = start;
  if (!start || !expect_response(c, m)) return UV_ENOMEM;
  to = put_head(to, m, GL_BODY_NONE);
  if (body) to = gl_put(to, body, n);
  x->out = GL_OUT_DONE;
  gl_stream_wrote(c->stream, (size_t)(to - start));
  return 0;
}

static int outbound_send_head(gl_exchange *x, const gl_message_head *m) {
  gl_outbound *c = outbound_of(x);
  bool known = m->length != GL_LENGTH_UNKNOWN;
  char *start = gl_stream_room(c->stream, head_room(m));
  if (!start || !expect_response(c, m)) return UV_ENOMEM;
  c->out = (gl_body_out){.mode = known ? GL_BODY_LENGTH : GL_BODY_CHUNKED, .owed = known ? (uint64_t)m->length : 0};
  x->out = GL_OUT_BODY;
  gl_stream_wrote(c->stream, (size_t)(put_head(start, m, c->out.mode) - start));
  return 0;
}

static int outbound_send_body(gl_exchange *x, const char *bytes, size_t n) {
  gl_outbound *c = outbound_of(x);
  if (!gl_stream_room(c->stream, n + GL_BODY_OUT_FRAME)) return UV_ENOMEM;
  if (!gl_body_out_takes(&c->out, n)) return UV_EMSGSIZE;
  gl_body_out_send(&c->out, c->stream, bytes, n);
  return 0;
}

static int outbound_send_file(gl_exchange *x, gl_open_file *file, uint64_t at, uint64_t n) {
  gl_outbound *c = outbound_of(x);
  if (!gl_body_out_takes(&c->out, n)) return UV_EMSGSIZE;
  return gl_stream_room(c->stream, GL_BODY_OUT_FRAME) && gl_body_out_send_file(&c->out, c->stream, file, at, n) ? 0 : UV_ENOMEM;
}

static uint64_t outbound_finish(gl_exchange *x, const gl_fields *trailers) {
  gl_outbound *c = outbound_of(x);
  if (c->out.mode == GL_BODY_LENGTH && c->out.owed) return c->out.owed;
  x->out = GL_OUT_DONE;
  gl_body_out_end(&c->out, c->stream, trailers);
  return 0;
}

/* A stream that broke has thrown its output away, so that there is nothing to retract. */
static bool outbound_take_back(gl_exchange *x) {
  gl_outbound *c = outbound_of(x);
  gl_stream *s = c->stream;
  if (s->taken != c->began || s->write) return false;
  if (!s->broken && !s->mute && !s->closing && !gl_stream_retract(s, c->began_at, NULL)) return false;
  x->out = GL_OUT_HEAD;
  return true;
}

static void outbound_cut(gl_exchange *x) {
  outbound_of(x)->reusable = false;
  x->out = GL_OUT_DONE;
}

static bool outbound_is_full(gl_exchange *x) { return gl_stream_full(outbound_of(x)->stream); }

static bool outbound_is_open(const gl_exchange *x) {
  const gl_stream *s = outbound_of(x)->stream;
  return !s->broken && !s->mute && !s->closing;
}

static uint64_t outbound_outstanding(const gl_exchange *x) { return gl_stream_outstanding(outbound_of(x)->stream); }

static void outbound_drop_file(gl_exchange *x) {
  gl_stream *s = outbound_of(x)->stream;
  if (s->file) gl_file_out_drop(s);
}

static bool outbound_is_reading(const gl_exchange *x) {
  const gl_stream *s = outbound_of(x)->stream;
  return s->file && gl_file_out_works(s->file);
}

/* ---- the response ---- */

static void outbound_want(gl_exchange *x, size_t more_than) {
  x->waiting = true;
  x->wanted = more_than;
  gl_stream_read(outbound_of(x)->stream);
}

/* Takes note of what the server says in Keep-Alive. It closes when its time is over, perhaps while a request is on its way, so that a
 * connection is not used in the last second, or half of a shorter time. `max` is the number of requests to come for some servers, and that
 * of all for others: at most one fewer than before, both times. */
static void heed_keep_alive(gl_outbound *c, const gl_head *h) {
  uint32_t seconds = UINT32_MAX, requests = UINT32_MAX;
  if (c->left < UINT32_MAX && c->left) c->left--;
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    if (f->name_len == 10 && memcmp(h->text + f->name, "keep-alive", 10) == 0) gl_field_keep_alive(gl_text_of(h->text + f->value, f->value_len), &seconds, &requests);
  }
  if (requests < c->left) c->left = requests;
  if (seconds < UINT32_MAX) c->idle_most = seconds > 2 ? seconds > 1000000 ? UINT32_MAX : (seconds - 1) * 1000 : seconds * 500;
  if (!c->idle_most || !c->left) c->reusable = false;
}

static bool on_head(gl_response_reader *r) {
  gl_outbound *c = r->owner;
  gl_head *h = r->h1.head;
  bool promised = h->status == 204 && (h->chunked || h->content_length); /* a body that 204 cannot have, and that the server may send */
  r->h1.head = NULL;
  c->reusable = h->keep_alive && !promised;
  heed_keep_alive(c, h);
  c->x.head = h;
  c->x.minor = h->minor;
  c->x.to_come = r->h1.left;
  c->x.in = GL_IN_BODY; /* also without a body: whether more bytes came than belong to the response is not known yet */
  c->x.user->head(&c->x, false);
  return c->state == GL_OUTBOUND_BUSY;
}

static bool on_interim(gl_response_reader *r) {
  gl_outbound *c = r->owner;
  c->x.head = r->h1.head;
  c->x.user->head(&c->x, false);
  if (c->state != GL_OUTBOUND_BUSY) return false;
  c->x.head = NULL;
  return true;
}

static bool on_body(gl_response_reader *r, const char *bytes, size_t n) {
  gl_outbound *c = r->owner;
  if (gl_buf_add(&c->x.body, bytes, n)) return true;
  r->no_memory = true;
  r->wrong = "not enough memory";
  return false;
}

static const gl_response_user response_user = {on_head, on_interim, on_body};

static void follow_reader(gl_outbound *c) {
  const gl_response_reader *r = &c->reader;
  gl_exchange *x = &c->x;
  x->arrived = r->h1.body_read;
  x->to_come = r->h1.left;
  if (r->h1.state == GL_H1_DONE) {
    x->in = GL_IN_DONE;
    x->trailers = r->h1.trailers;
    c->reader.h1.trailers = NULL;
  } else if (r->h1.state == GL_H1_BAD) {
    x->in = GL_IN_BAD;
    x->error = r->no_memory ? UV_ENOMEM : r->too_large ? UV_EMSGSIZE : UV_EPROTO;
    x->why = r->wrong;
  }
}

/* May the server have answered the last bytes of a file before the job that gives them to the kernel could say so? It is asked to say so now: the
 * connection can be kept if they are all there. */
static bool is_ahead(gl_outbound *c) {
  gl_stream *s = c->stream;
  if (!s->file || !c->reusable || c->out.mode != GL_BODY_LENGTH || c->out.owed || !gl_file_out_ends(s->file)) return false;
  gl_file_out_drop(s);
  return true;
}

/* Tells a user that waits for the body, if what it waits for is there. */
static void tell_body(gl_exchange *x) {
  if (!x->waiting || (x->in != GL_IN_DONE && x->body.len <= x->wanted)) return;
  if (x->in == GL_IN_DONE && is_ahead(outbound_of(x))) return; /* gl_outbound_drained or gl_outbound_lost tells */
  x->waiting = false;
  x->user->body(x, 0);
}

void gl_outbound_read(gl_outbound *c, const char *bytes, size_t n) {
  gl_exchange *x = &c->x;
  uint32_t served = c->served;
  x->begun = true;
  x->moved = uv_hrtime();
  size_t used = gl_response_read(&c->reader, bytes, n);
  if (!is_serving(c, served)) return;
  follow_reader(c);
  if (x->in == GL_IN_DONE && used < n) c->reusable = false; /* nobody asked for what is behind the response */
  if (x->in == GL_IN_BAD) x->user->gone(x, x->error);
  else tell_body(x);
  if (is_serving(c, served) && !x->waiting && x->in == GL_IN_BODY && x->body.len > BODY_HIGH) gl_stream_pause(c->stream);
}

void gl_outbound_drained(gl_outbound *c) {
  uint32_t served = c->served;
  c->x.moved = uv_hrtime();
  gl_exchange_drained(&c->x, c->stream);
  if (is_serving(c, served)) tell_body(&c->x);
}

void gl_outbound_lost(gl_outbound *c, int status, const char *code, const char *why) {
  gl_exchange *x = &c->x;
  x->eof = true;
  x->moved = uv_hrtime();
  c->reusable = false;
  if (status == UV_EOF && x->in == GL_IN_BODY && c->reader.h1.mode == GL_BODY_UNTIL_CLOSE) {
    gl_h1_read_end(&c->reader.h1);
    follow_reader(c);
    tell_body(x);
    return;
  }
  if (x->in == GL_IN_DONE) { /* the user has all of the response, or waits only for our own word */
    tell_body(x);
    return;
  }
  x->code = code;
  x->why = why;
  x->user->gone(x, status);
}

/* ---- the carrier ---- */

static const gl_carrier carrier = {
  .send = outbound_send, .send_head = outbound_send_head, .send_body = outbound_send_body, .send_file = outbound_send_file, .finish = outbound_finish,
  .take_back = outbound_take_back, .cut = outbound_cut, .want = outbound_want, .is_full = outbound_is_full, .is_open = outbound_is_open,
  .outstanding = outbound_outstanding, .drop_file = outbound_drop_file, .is_reading = outbound_is_reading, .release = outbound_release,
};
