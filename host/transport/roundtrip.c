/* SPDX-License-Identifier: MIT */
#include "transport/roundtrip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "transport/outbound.h"

#define WINDOW ((size_t)256 * 1024) /* bytes of a streamed body that may wait for a reader */

/* ---- telling ---- */

static bool has_news(const gl_roundtrip *rt) {
  return rt->over || (rt->streams && rt->headed && (!rt->answered || gl_roundtrip_body(rt)->len));
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

static void end(gl_roundtrip *rt, uint64_t now) {
  rt->over = true;
  rt->ended_at = now;
  drop_timers(rt);
  gl_origin *o = rt->origin;
  rt->origin = NULL;
  gl_origin_release(o);
  gl_roundtrip_wake_writer(rt, rt->status ? rt->status : UV_EPIPE);
  tell(rt);
}

/* Fails a round trip that has no exchange, no attempt and no place in line any more, and tells its ops. */
static void fail(gl_roundtrip *rt, int status, const char *code, const char *why) {
  GL_CHECK(!rt->x && !rt->attempt && !rt->queued);
  rt->status = status;
  rt->code = code;
  rt->failed_in = rt->phase;
  snprintf(rt->why, sizeof rt->why, "%s", why ? why : uv_strerror(status));
  end(rt, uv_hrtime());
}

/* Releases the exchange, and keeps what came of the response. */
static void leave_exchange(gl_roundtrip *rt) {
  gl_exchange *x = rt->x;
  rt->x = NULL;
  rt->body = x->body;
  x->body = (gl_buf){0};
  rt->trailers = x->trailers;
  x->trailers = NULL;
  x->carrier->release(x, false);
}

/* Gives the exchange up, as neither the rest of the request nor that of the response matters. */
static void give_up(gl_roundtrip *rt) {
  gl_exchange *x = rt->x;
  if (!x->carrier->take_back(x)) rt->exposed = true;
  x->carrier->cut(x);
  leave_exchange(rt);
}

void gl_roundtrip_abort(gl_roundtrip *rt, int status, const char *why) {
  if (rt->over) return;
  if (rt->queued) gl_pool_leave(rt->origin, rt);
  if (rt->attempt) gl_outbound_drop(rt->attempt);
  if (rt->x) give_up(rt);
  if (!rt->over) fail(rt, status, NULL, why);
}

void gl_roundtrip_quit(gl_roundtrip *rt) {
  rt->waiter = rt->writer = NULL;
  gl_roundtrip_abort(rt, UV_ECANCELED, "the program ends");
}

/* ---- phases and their time ---- */

static const char *const late[GL_PHASES] = {
  [GL_PHASE_QUEUE] = "timed out waiting for a free connection", [GL_PHASE_RESOLVE] = "timed out looking up the host",
  [GL_PHASE_CONNECT] = "timed out connecting", [GL_PHASE_PROXY] = "timed out waiting for the proxy",
  [GL_PHASE_TLS] = "timed out in the TLS handshake", [GL_PHASE_SEND] = "timed out sending the request",
  [GL_PHASE_HEAD] = "timed out waiting for the answer", [GL_PHASE_BODY] = "timed out waiting for more of the body",
};

static void run_out(gl_roundtrip *rt) {
  if (rt->attempt && gl_outbound_settle(rt->attempt)) return;
  gl_roundtrip_abort(rt, UV_ETIMEDOUT, late[rt->phase]);
}

static void on_total(gl_timer *timer) { run_out(GL_CONTAINER(timer, gl_roundtrip, total)); }

static bool arm_limit(gl_roundtrip *rt, uint64_t due) { return gl_timer_arm_at(&rt->pool->host->clock, &rt->limit, due); }

/* Has the server nothing to do? The next step is ours while a writer thinks about its next piece and all before has arrived, and while a file is
 * read; and bytes that have arrived since the last look are a step of the server's. */
static bool owes_nothing(gl_roundtrip *rt) {
  const gl_exchange *x = rt->x;
  if (!x || x->out != GL_OUT_BODY || rt->held || rt->stopped) return false;
  uint64_t before = rt->outstanding;
  rt->outstanding = x->carrier->outstanding(x);
  if (x->carrier->is_reading(x)) return true;
  return rt->outstanding < before || (!rt->outstanding && !rt->writer && !rt->finishing && rt->upload == GL_UPLOAD_PIECES);
}

/* In a phase that transfers, the limit counts from the last step of progress. */
static void on_limit(gl_timer *timer) {
  gl_roundtrip *rt = GL_CONTAINER(timer, gl_roundtrip, limit);
  bool streamed = rt->phase == GL_PHASE_BODY && rt->streams, transfers = rt->phase == GL_PHASE_SEND || rt->phase == GL_PHASE_BODY;
  double most = streamed ? rt->patience : rt->limits.phase[rt->phase];
  uint64_t now = uv_hrtime(), since = rt->x && rt->x->moved > rt->progress ? rt->x->moved : rt->progress;
  if (transfers && owes_nothing(rt)) since = now;
  else if (streamed) since = 0;
  uint64_t due = transfers ? gl_clock_after(since, most) : 0;
  if (due > now && arm_limit(rt, due)) return;
  run_out(rt);
}

void gl_roundtrip_enter(gl_roundtrip *rt, gl_phase phase, uint64_t now) {
  uint64_t due = 0;
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

bool gl_roundtrip_hasten(gl_roundtrip *rt, double seconds) {
  uint64_t due = gl_clock_after(uv_hrtime(), seconds);
  bool sooner = gl_timer_is_armed(&rt->pool->host->clock, &rt->limit) && rt->limit.due <= due;
  return sooner || arm_limit(rt, due);
}

/* ---- sending ---- */

#define WHOLE ((size_t)64 * 1024) /* a body of so many bytes at most leaves with its head */

void gl_roundtrip_begin(gl_roundtrip *rt, gl_exchange *x, bool kept, const char *remote) {
  const gl_message_head *m = &rt->request;
  bool whole = rt->upload == GL_UPLOAD_NONE || (rt->upload == GL_UPLOAD_BYTES && (uint64_t)m->length <= WHOLE && !m->expect);
  *(gl_roundtrip **)(x + 1) = rt;
  x->limits = &rt->limits.head;
  rt->attempt = NULL;
  rt->x = x;
  rt->reused = kept;
  if (kept) rt->pool->stats.reused++;
  memcpy(rt->remote, remote, sizeof rt->remote);
  gl_roundtrip_enter(rt, GL_PHASE_SEND, uv_hrtime());
  if (rt->x != x) return;
  int err = whole ? x->carrier->send(x, m, rt->upload_body, rt->upload_body ? (size_t)m->length : 0) : x->carrier->send_head(x, m);
  if (err) gl_roundtrip_abort(rt, err, NULL);
  else if (rt->x == x) gl_roundtrip_send_body(rt);
}

/* ---- receiving ---- */

static inline gl_roundtrip *roundtrip_of(gl_exchange *x) { return *(gl_roundtrip **)(x + 1); }

static bool has_field(const gl_head *h, const char *name) {
  size_t n = strlen(name);
  for (uint32_t i = 0; i < h->nfields; i++)
    if (h->fields[i].name_len == n && memcmp(h->text + h->fields[i].name, name, n) == 0 && h->fields[i].value_len) return true;
  return false;
}

static void refuse_body(gl_roundtrip *rt) { gl_roundtrip_abort(rt, UV_EMSGSIZE, "the body is larger than max_body"); }

static bool on_head(gl_exchange *x, bool now) {
  (void)now;
  gl_roundtrip *rt = roundtrip_of(x);
  const gl_head *h = x->head;
  if (h->status < 200) {
    if (h->status == 100) gl_roundtrip_go_on(rt);
    return true;
  }
  rt->head = x->head;
  x->head = NULL;
  rt->headed = true;
  rt->headed_at = x->moved;
  if (!rt->streams && rt->unencoded_only && h->has_body && has_field(h, "content-encoding")) rt->streams = true;
  if (x->out != GL_OUT_DONE && (rt->held || h->status >= 400)) gl_roundtrip_stop_sending(rt);
  if (rt->streams) gl_timer_drop(&rt->pool->host->clock, &rt->total);
  gl_roundtrip_enter(rt, GL_PHASE_BODY, x->moved);
  if (rt->x == x && !rt->streams && x->to_come > rt->limits.max_body) refuse_body(rt);
  if (rt->x != x) return true;
  x->carrier->want(x, rt->streams ? WINDOW : rt->limits.max_body);
  tell(rt);
  return true;
}

static void complete(gl_roundtrip *rt) {
  uint64_t now = rt->x->moved;
  leave_exchange(rt);
  end(rt, now);
}

static void on_body(gl_exchange *x, int status) {
  gl_roundtrip *rt = roundtrip_of(x);
  if (status) gl_roundtrip_abort(rt, status, x->why);
  else if (!rt->streams && x->body.len > rt->limits.max_body) refuse_body(rt);
  else if (x->in == GL_IN_DONE) complete(rt);
  else tell(rt);
}

static void on_room(gl_exchange *x, int status) {
  gl_roundtrip *rt = roundtrip_of(x);
  if (status == 0) {
    gl_roundtrip_pump(rt);
  } else if (x->file_error) {
    rt->file_error = x->file_error;
    gl_roundtrip_wake_writer(rt, status); /* the writer gives the request up */
  }
}

/* ---- the connection is gone ---- */

/* Had the server given up a kept connection, and does it no harm to send the request again? `answered`: a byte of a response came. */
static bool may_repeat(const gl_roundtrip *rt, bool answered) {
  if (!rt->reused || rt->again || answered) return false;
  if (rt->upload == GL_UPLOAD_PIECES && (rt->uploaded || rt->finishing)) return false;
  return rt->idempotent || !rt->exposed;
}

static void repeat(gl_roundtrip *rt) {
  rt->again = true;
  rt->held = rt->exposed = false;
  rt->uploaded = 0;
  gl_timer_drop(&rt->pool->host->clock, &rt->hold);
  gl_roundtrip_enter(rt, GL_PHASE_QUEUE, uv_hrtime());
  if (!rt->over) gl_pool_want(rt->origin, rt, true);
}

static void describe_cut(const gl_roundtrip *rt, int status, char *out, size_t size) {
  const gl_exchange *x = rt->x;
  const gl_head *h = rt->head;
  const char *how = status == UV_EOF ? "the connection was closed" : uv_strerror(status);
  if (h && h->has_length) snprintf(out, size, "%s in the body, after %" PRIu64 " of %" PRIu64 " bytes", how, x->arrived, x->arrived + x->to_come);
  else if (h) snprintf(out, size, "%s in the body, after %" PRIu64 " bytes", how, x->arrived);
  else snprintf(out, size, "%s %s", how, x->begun ? "in the head of the answer" : "without an answer");
}

static void describe(const gl_roundtrip *rt, int status, char *out, size_t size) {
  const gl_exchange *x = rt->x;
  if (x->in == GL_IN_BAD && status == UV_EPROTO) snprintf(out, size, "the answer is no proper HTTP: %s", x->why);
  else if (x->why) snprintf(out, size, "%s", x->why);
  else describe_cut(rt, status, out, size);
}

static void on_gone(gl_exchange *x, int status) {
  gl_roundtrip *rt = roundtrip_of(x);
  const char *code = x->code;
  bool answered = x->begun;
  char why[sizeof rt->why];
  describe(rt, status, why, sizeof why);
  give_up(rt);
  if (may_repeat(rt, answered)) repeat(rt);
  else fail(rt, status == UV_EOF ? UV_ECONNRESET : status, code, why);
}

static void on_abort(gl_exchange *x) { gl_roundtrip_quit(roundtrip_of(x)); }

const gl_exchange_user gl_roundtrip_user = {.size = sizeof(gl_roundtrip *), .head = on_head, .body = on_body, .room = on_room, .gone = on_gone, .abort = on_abort};

void gl_roundtrip_lost(gl_roundtrip *rt, int status, const char *code, const char *why) {
  if (rt->over) return;
  if (!why && status == UV_EOF) why = "the connection was closed";
  fail(rt, status == UV_EOF ? UV_ECONNRESET : status, code, why);
}

void gl_roundtrip_refused(gl_roundtrip *rt, gl_head *head, const gl_buf *body, const char *why) {
  rt->head = head;
  rt->body = *body;
  rt->refused = true;
  fail(rt, UV_ECONNREFUSED, "EPROXY", why);
}

/* ---- from outside ---- */

void gl_roundtrip_start(gl_roundtrip *rt, gl_op *waiter) {
  gl_host *h = rt->pool->host;
  rt->over = false;
  rt->total.fire = on_total;
  rt->limit.fire = on_limit;
  rt->waiter = waiter;
  rt->pool->stats.requests++;
  rt->started = uv_hrtime();
  if (rt->limits.total < GL_FOREVER && !gl_timer_arm(&h->clock, &rt->total, rt->limits.total)) {
    gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
    return;
  }
  gl_roundtrip_enter(rt, GL_PHASE_QUEUE, rt->started);
  if (!rt->over) gl_pool_want(rt->origin, rt, false);
}

void gl_roundtrip_wait(gl_roundtrip *rt, gl_op *waiter, double seconds) {
  rt->waiter = waiter;
  if (rt->x && rt->x->in == GL_IN_DONE) complete(rt); /* it came when nobody waited */
  else tell(rt);
  if (!rt->waiter) return;
  if (rt->answered && rt->x) rt->x->carrier->want(rt->x, 0);
  rt->patience = seconds;
  if (seconds >= GL_FOREVER) return;
  if (!gl_timer_arm(&rt->pool->host->clock, &rt->limit, seconds)) gl_roundtrip_abort(rt, UV_ENOMEM, NULL);
}

void gl_roundtrip_eat(gl_roundtrip *rt) {
  gl_exchange *x = rt->x;
  gl_buf_free(x ? &x->body : &rt->body);
  if (x && x->in == GL_IN_DONE) complete(rt);
  else if (x) x->carrier->want(x, WINDOW);
}

void gl_roundtrip_unref(gl_roundtrip *rt) {
  if (--rt->refs > 0) return;
  gl_pool *p = rt->pool;
  gl_host *h = p->host;
  gl_roundtrip_abort(rt, UV_ECANCELED, NULL);
  if (rt->origin) gl_origin_release(rt->origin); /* it was never started */
  if (rt->head) gl_heads_give(&p->heads, rt->head);
  if (rt->trailers) gl_heads_give(&p->heads, rt->trailers);
  gl_buf_free(&rt->body);
  gl_fields_free(&rt->tail);
  if (rt->model) gl_roundtrip_unref(rt->model);
  gl_block_free(&h->alloc, rt, rt->size);
  gl_pool_unref(p);
}
