/* SPDX-License-Identifier: MIT */
#include "transport/roundtrip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/check.h"

#define WINDOW ((size_t)256 * 1024) /* bytes of a streamed body that wait in `body`, from which on the stream is not read */

static const char *head_text(const gl_roundtrip *rt) { return rt->method + strlen(rt->method) + 1; }

/* ---- telling ---- */

static bool has_news(const gl_roundtrip *rt) {
  return rt->over || (rt->streams && rt->headed && (!rt->answered || rt->body.len));
}

static void tell(gl_roundtrip *rt) {
  gl_op *op = rt->waiter;
  if (!op || !has_news(rt)) return;
  rt->waiter = NULL;
  if (rt->streams && rt->phase == GL_PHASE_BODY) gl_timer_drop(&rt->pool->host->clock, &rt->limit);
  gl_op_done(op, 0);
}

void gl_roundtrip_leave(gl_roundtrip *rt) {
  if (rt->answered) gl_timer_drop(&rt->pool->host->clock, &rt->limit);
  rt->waiter = NULL;
}

/* ---- the end ---- */

static void drop_timers(gl_roundtrip *rt) {
  gl_clock *clock = &rt->pool->host->clock;
  gl_timer_drop(clock, &rt->total);
  gl_timer_drop(clock, &rt->limit);
  gl_timer_drop(clock, &rt->hold);
}

static void end(gl_roundtrip *rt) {
  rt->over = true;
  rt->ended_at = uv_hrtime();
  drop_timers(rt);
  gl_origin *o = rt->origin;
  rt->origin = NULL;
  gl_origin_release(o);
  gl_roundtrip_wake_writer(rt, rt->status ? rt->status : UV_EPIPE);
  tell(rt);
}

/* Fails a round trip that has neither a connection nor a place in line any more, and tells its ops. */
static void fail(gl_roundtrip *rt, int status, const char *code, const char *why) {
  GL_CHECK(!rt->conn && !rt->queued);
  rt->status = status;
  rt->code = code;
  rt->failed_in = rt->phase;
  snprintf(rt->why, sizeof rt->why, "%s", why ? why : uv_strerror(status));
  end(rt);
}

static void let_go(gl_roundtrip *rt) {
  gl_outbound *c = rt->conn;
  if (rt->queued) gl_pool_leave(rt->origin, rt);
  if (!c) return;
  if (c->state == GL_OUTBOUND_BUSY) rt->exposed |= c->stream->taken != c->began || c->stream->write;
  gl_outbound_drop(c);
}

void gl_roundtrip_abort(gl_roundtrip *rt, int status, const char *why) {
  if (rt->over) return;
  let_go(rt);
  if (!rt->over) fail(rt, status, NULL, why);
}

/* ---- phases and their time ---- */

static const char *const late[GL_PHASES] = {
  [GL_PHASE_QUEUE] = "timed out waiting for a free connection", [GL_PHASE_RESOLVE] = "timed out looking up the host",
  [GL_PHASE_CONNECT] = "timed out connecting", [GL_PHASE_PROXY] = "timed out waiting for the proxy",
  [GL_PHASE_TLS] = "timed out in the TLS handshake", [GL_PHASE_SEND] = "timed out sending the request",
  [GL_PHASE_HEAD] = "timed out waiting for the answer", [GL_PHASE_BODY] = "timed out waiting for more of the body",
};

static void on_total(gl_timer *timer) {
  gl_roundtrip *rt = GL_CONTAINER(timer, gl_roundtrip, total);
  gl_roundtrip_abort(rt, UV_ETIMEDOUT, late[rt->phase]);
}

static bool arm_limit(gl_roundtrip *rt, uint64_t due) { return gl_timer_arm_at(&rt->pool->host->clock, &rt->limit, due); }

/* In a phase that transfers, the limit counts from the last step of progress. */
static void on_limit(gl_timer *timer) {
  gl_roundtrip *rt = GL_CONTAINER(timer, gl_roundtrip, limit);
  bool transfers = rt->phase == GL_PHASE_SEND || (rt->phase == GL_PHASE_BODY && !rt->streams);
  uint64_t due = transfers ? gl_clock_after(rt->progress, rt->limits.phase[rt->phase]) : 0;
  if (due > uv_hrtime() && arm_limit(rt, due)) return;
  gl_roundtrip_abort(rt, UV_ETIMEDOUT, late[rt->phase]);
}

void gl_roundtrip_enter(gl_roundtrip *rt, gl_phase phase) {
  uint64_t now = uv_hrtime(), due = 0;
  double most = rt->limits.phase[phase];
  rt->phase = phase;
  rt->progress = rt->marks[phase] = now;
  if (most < GL_FOREVER && !(phase == GL_PHASE_BODY && rt->streams)) due = gl_clock_after(now, most);
  if (phase >= GL_PHASE_RESOLVE && phase <= GL_PHASE_TLS && rt->limits.connecting < GL_FOREVER) {
    if (!rt->due) rt->due = gl_clock_after(now, rt->limits.connecting);
    if (!due || rt->due < due) due = rt->due;
  }
  if (!due) gl_timer_drop(&rt->pool->host->clock, &rt->limit);
  else if (!arm_limit(rt, due)) gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
}

/* ---- a connection ---- */

static const gl_response_user response_user;

void gl_roundtrip_begin(gl_roundtrip *rt, gl_outbound *c) {
  if (!rt->head && !(rt->head = gl_pool_head(rt->pool))) {
    gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
    return;
  }
  rt->reused = c->served > 0;
  if (rt->reused) rt->pool->stats.reused++;
  memcpy(rt->remote, c->remote, sizeof rt->remote);
  rt->reader.user = &response_user;
  rt->reader.owner = rt;
  gl_response_begin(&rt->reader, rt->head, &rt->limits.head, rt->head_only);
  gl_roundtrip_enter(rt, GL_PHASE_SEND);
  if (rt->conn != c) return;
  gl_stream_write(c->stream, head_text(rt), rt->head_len);
  if (rt->conn == c) gl_roundtrip_send_body(rt); /* else the write broke the connection */
}

/* ---- receiving ---- */

static bool has_field(const gl_head *h, const char *name) {
  size_t n = strlen(name);
  for (uint32_t i = 0; i < h->nfields; i++)
    if (h->fields[i].name_len == n && memcmp(h->text + h->fields[i].name, name, n) == 0 && h->fields[i].value_len) return true;
  return false;
}

/* Makes the reader stop: what came is too large (`large`), or there is no memory for it. */
static bool refuse(gl_roundtrip *rt, bool large, const char *why) {
  rt->reader.too_large = large;
  rt->reader.no_memory = !large;
  rt->reader.wrong = why;
  return false;
}

static bool on_head(gl_response_reader *r) {
  gl_roundtrip *rt = r->owner;
  rt->headed = true;
  rt->headed_at = uv_hrtime();
  const gl_head *h = gl_response_head(r);
  rt->has_length = (r->h1.parser.flags & F_CONTENT_LENGTH) != 0;
  if (!rt->streams && rt->unencoded_only && h->has_body && has_field(h, "content-encoding")) rt->streams = true;
  if (!rt->sent && (rt->held || h->status >= 400)) gl_roundtrip_stop_sending(rt);
  if (rt->streams) gl_timer_drop(&rt->pool->host->clock, &rt->total);
  if (!rt->streams && r->h1.mode == GL_BODY_LENGTH && h->content_length > rt->limits.max_body) return refuse(rt, true, "the body is larger than max_body");
  return true;
}

static bool on_interim(gl_response_reader *r) {
  gl_roundtrip *rt = r->owner;
  if (gl_response_head(r)->status == 100) rt->held = false; /* gl_roundtrip_data goes on with the body */
  return true;
}

static bool on_body(gl_response_reader *r, const char *bytes, size_t n) {
  gl_roundtrip *rt = r->owner;
  if (!rt->streams && n > rt->limits.max_body - rt->body.len) return refuse(rt, true, "the body is larger than max_body");
  if (!gl_buf_add(&rt->body, bytes, n)) return refuse(rt, false, "not enough memory");
  return true;
}

static const gl_response_user response_user = {on_head, on_interim, on_body};

static void complete(gl_roundtrip *rt, bool reusable) {
  gl_outbound *c = rt->conn;
  rt->conn = NULL;
  gl_stream *s = c->stream;
  if (rt->paused) gl_stream_read(s);
  gl_outbound_release(c, reusable);
  end(rt);
}

static void refuse_answer(gl_roundtrip *rt) {
  const gl_response_reader *r = &rt->reader;
  char why[sizeof rt->why];
  bool plain = r->too_large || r->no_memory;
  snprintf(why, sizeof why, plain ? "%s" : "the answer is no proper HTTP: %s", r->wrong);
  let_go(rt);
  fail(rt, r->no_memory ? UV_ENOMEM : r->too_large ? UV_EMSGSIZE : UV_EPROTO, NULL, why);
}

void gl_roundtrip_data(gl_roundtrip *rt, const char *bytes, size_t n) {
  gl_response_reader *r = &rt->reader;
  bool was_headed = rt->headed, was_held = rt->held;
  rt->progress = uv_hrtime();
  size_t used = gl_response_read(r, bytes, n);
  if (r->h1.state == GL_H1_BAD) {
    refuse_answer(rt);
    return;
  }
  if (r->h1.state == GL_H1_DONE) {
    const gl_head *h = gl_response_head(r);
    bool promised = h->status == 204 && (h->chunked || h->content_length); /* a body that 204 cannot have, and that the server may send */
    complete(rt, h->keep_alive && rt->sent && used == n && !promised);
    return;
  }
  if (was_held && !rt->held && !rt->stopped) gl_timer_drop(&rt->pool->host->clock, &rt->hold), gl_roundtrip_pump(rt);
  if (!rt->over && rt->headed && !was_headed) gl_roundtrip_enter(rt, GL_PHASE_BODY);
  if (rt->over || !rt->conn) return;
  if (rt->streams && rt->body.len > WINDOW) {
    rt->paused = true;
    gl_stream_pause(rt->conn->stream);
  }
  tell(rt);
}

/* ---- the connection is gone ---- */

/* Had the server given up a kept connection, and does it no harm to send the request again? */
static bool may_repeat(const gl_roundtrip *rt) {
  if (!rt->reused || rt->again || rt->reader.begun) return false;
  if (rt->upload == GL_UPLOAD_PIECES && (rt->uploaded || rt->finishing)) return false;
  return rt->idempotent || !rt->exposed;
}

static void repeat(gl_roundtrip *rt) {
  rt->again = true;
  rt->sent = rt->held = rt->exposed = false;
  rt->uploaded = 0;
  gl_timer_drop(&rt->pool->host->clock, &rt->hold);
  gl_roundtrip_enter(rt, GL_PHASE_QUEUE);
  if (!rt->over) gl_pool_want(rt->origin, rt, true);
}

static void describe_cut(const gl_roundtrip *rt, int status, char *out, size_t size) {
  const gl_response_reader *r = &rt->reader;
  char how[96];
  if (status == UV_EOF) snprintf(how, sizeof how, "the connection was closed");
  else snprintf(how, sizeof how, "%s", uv_strerror(status));
  if (rt->phase < GL_PHASE_SEND) snprintf(out, size, "%s", how);
  else if (rt->headed && r->h1.mode == GL_BODY_LENGTH) snprintf(out, size, "%s in the body, after %" PRIu64 " of %" PRIu64 " bytes", how, r->h1.body_read, r->h1.body_read + r->h1.left);
  else if (rt->headed) snprintf(out, size, "%s in the body, after %" PRIu64 " bytes", how, r->h1.body_read);
  else snprintf(out, size, "%s %s", how, r->begun ? "in the head of the answer" : "without an answer");
}

void gl_roundtrip_lost(gl_roundtrip *rt, int status, const char *code, const char *why) {
  gl_response_reader *r = &rt->reader;
  char text[sizeof rt->why];
  if (rt->over) return;
  bool sending = rt->phase >= GL_PHASE_SEND;
  if (sending && status == UV_EOF && r->h1.mode == GL_BODY_UNTIL_CLOSE) {
    gl_h1_read_end(&r->h1);
    end(rt);
    return;
  }
  if (sending && may_repeat(rt)) {
    repeat(rt);
    return;
  }
  if (!why) describe_cut(rt, status, text, sizeof text);
  fail(rt, status == UV_EOF ? UV_ECONNRESET : status, code, why ? why : text);
}

/* ---- from outside ---- */

static bool is_idempotent(const char *method) {
  static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", NULL};
  for (const char *const *name = names; *name; name++)
    if (strcmp(*name, method) == 0) return true;
  return false;
}

static gl_roundtrip *roundtrip_new(gl_origin *o, const gl_roundtrip_spec *spec) {
  size_t url = strlen(spec->url) + 1, method = strlen(spec->method) + 1;
  size_t size = sizeof(gl_roundtrip) + url + method + spec->head_len;
  gl_roundtrip *rt = gl_block_calloc(&o->pool->host->alloc, size);
  if (!rt) return NULL;
  rt->size = (uint32_t)size;
  rt->url = memcpy(rt->text, spec->url, url);
  rt->method = memcpy(rt->text + url, spec->method, method);
  memcpy(rt->text + url + method, spec->head, spec->head_len);
  rt->head_len = (uint32_t)spec->head_len;
  rt->pool = o->pool;
  rt->origin = o;
  rt->refs = 1;
  rt->limits = spec->limits;
  rt->upload = spec->upload;
  rt->upload_body = spec->body;
  rt->upload_len = spec->body_len;
  rt->chunked = spec->upload == GL_UPLOAD_PIECES && spec->length < 0;
  rt->expect = spec->expect;
  rt->streams = spec->streams;
  rt->unencoded_only = spec->unencoded_only;
  rt->head_only = strcmp(spec->method, "HEAD") == 0;
  rt->idempotent = is_idempotent(spec->method);
  rt->total.fire = on_total;
  rt->limit.fire = on_limit;
  return rt;
}

gl_roundtrip *gl_roundtrip_start(gl_origin *o, const gl_roundtrip_spec *spec, gl_op *waiter) {
  gl_host *h = o->pool->host;
  gl_roundtrip *rt = roundtrip_new(o, spec);
  if (!rt) {
    gl_origin_release(o);
    return NULL;
  }
  rt->pool->refs++;
  rt->waiter = waiter;
  rt->pool->stats.requests++;
  rt->started = uv_hrtime();
  if (rt->limits.total < GL_FOREVER && !gl_timer_arm(&h->clock, &rt->total, rt->limits.total)) {
    gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
    return rt;
  }
  gl_roundtrip_enter(rt, GL_PHASE_QUEUE);
  if (!rt->over) gl_pool_want(o, rt, false);
  return rt;
}

void gl_roundtrip_wait(gl_roundtrip *rt, gl_op *waiter, double seconds) {
  rt->waiter = waiter;
  tell(rt);
  if (!rt->waiter || seconds >= GL_FOREVER) return;
  if (!gl_timer_arm(&rt->pool->host->clock, &rt->limit, seconds)) gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
}

void gl_roundtrip_eat(gl_roundtrip *rt) {
  gl_buf_free(&rt->body);
  if (!rt->paused) return;
  rt->paused = false;
  if (rt->conn) gl_stream_read(rt->conn->stream);
}

void gl_roundtrip_unref(gl_roundtrip *rt) {
  if (--rt->refs > 0) return;
  gl_pool *p = rt->pool;
  gl_host *h = p->host;
  gl_roundtrip_abort(rt, UV_ECANCELED, NULL);
  if (rt->head) gl_pool_drop_head(p, rt->head);
  gl_response_free(&rt->reader);
  gl_buf_free(&rt->body);
  gl_buf_free(&rt->tail);
  gl_block_free(&h->alloc, rt, rt->size);
  gl_pool_unref(p);
}
