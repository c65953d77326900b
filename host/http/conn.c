/* SPDX-License-Identifier: MIT */
#include "http/conn.h"

#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/cancel.h"
#include "core/check.h"
#include "core/error.h"
#include "core/task.h"
#include "http/request.h"
#include "http/response.h"
#include "http/server.h"

#define IN_HIGH ((size_t)64 * 1024)    /* early bytes kept while a request is busy */
#define BODY_HIGH ((size_t)256 * 1024) /* body bytes kept while nobody asks for them */
#define DRAIN_MAX ((uint64_t)1 << 20)  /* an unread body up to this is read away to keep the connection */
#define LINGER_SECONDS 2.0
#define NO_MEMORY "not enough memory"

static size_t consume(gl_conn *c, const char *bytes, size_t n, bool in_driver);

static bool on_body(gl_h1_reader *r, const char *at, size_t n);

static bool is_body_open(const gl_conn *c) { return c->reader.state == GL_H1_BODY || c->reader.state == GL_H1_TRAILERS; }

static void set_deadline(gl_conn *c, double seconds) {
  c->deadline = uv_now(&c->server->host->loop) + (uint64_t)(seconds * 1000);
}

/* A body has some time, and one second more for each so many bytes of it, of which only those count in which it is waited
 * for; and some time between two pieces. So none can come so slowly that it never ends. */
static void set_body_deadline(gl_conn *c) {
  const gl_server_limits *l = &c->server->limits;
  c->waiting_since = uv_now(&c->server->host->loop);
  double left = l->body_timeout + (double)c->reader.body_read / l->body_min_rate - (double)c->body_waited / 1000;
  set_deadline(c, left < 0 ? 0 : left < l->body_timeout ? left : l->body_timeout);
}

static void count_body_wait(gl_conn *c) { c->body_waited += uv_now(&c->server->host->loop) - c->waiting_since; }

static void wake(gl_op **slot, int status) {
  gl_op *op = *slot;
  if (!op) return;
  *slot = NULL;
  gl_op_done(op, status);
}

/* ---- life ---- */

bool gl_conn_new(gl_server *server, gl_stream *stream) {
  gl_conn *c = calloc(1, sizeof *c);
  if (!c) return false;
  c->server = server;
  c->stream = stream;
  c->next = server->conns;
  c->at = &server->conns;
  if (c->next) c->next->at = &c->next;
  server->conns = c;
  server->nconns++;
  server->refs++;
  stream->owner = c;
  c->fresh = true;
  gl_h1_reader_init(&c->reader, false, &server->limits.head, on_body);
  set_deadline(c, server->limits.header_timeout);
  if (gl_stream_read(stream) != 0) gl_stream_close(stream);
  return true;
}

static void conn_free(gl_conn *c) {
  gl_server *s = c->server;
  if (s->swept == c) s->swept = c->next;
  GL_CHECK(!c->task && !c->stream && !c->waiter && !c->writer);
  if (c->reader.head) gl_server_drop_head(s, c->reader.head);
  gl_response_drop_head(c);
  gl_buf_free(&c->in);
  gl_buf_free(&c->body);
  *c->at = c->next;
  if (c->next) c->next->at = c->at;
  s->nconns--;
  free(c);
  if (s->closing_op && s->nconns == 0) wake(&s->closing_op, 0);
  gl_server_conn_closed(s);
  gl_server_unref(s);
}

static void on_closed(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (!c) return; /* never became a connection */
  c->stream = NULL;
  if (!c->task) conn_free(c);
}

/* Close after the output; wait for the client's end when it may still be sending, or it would lose the answer. */
static void close_gently(gl_conn *c, bool sending) {
  c->state = GL_CONN_LINGER;
  gl_buf_free(&c->in);
  if (!c->stream) return;
  set_deadline(c, sending && !c->eof ? LINGER_SECONDS : c->server->limits.write_timeout);
  gl_stream_finish(c->stream, sending && !c->eof);
  gl_stream_read(c->stream);
}

/* Answer with a plain error and close: for requests that never reached a handler, and for failed ones. */
static void conn_refuse(gl_conn *c, int status, const char *reason) {
  c->close_after = true;
  if (!c->responded) gl_response_send_error(c, status, reason);
  close_gently(c, true);
}

void gl_conn_abort(gl_conn *c) {
  wake(&c->waiter, UV_ECONNABORTED);
  wake(&c->writer, UV_ECONNABORTED);
  if (c->task) gl_task_cancel(c->task);
  if (c->takeover) c->takeover->abort(c->proto);
  if (c->stream) gl_stream_close(c->stream);
}

void gl_conn_shutdown(gl_conn *c, bool fresh) {
  c->close_after = true;
  if (c->takeover) c->takeover->retire(c->proto);
  if (!c->stream) return;
  if (c->state == GL_CONN_HEAD && !c->reader.head && !(c->fresh && fresh)) gl_stream_finish(c->stream, false);
  else if (c->state == GL_CONN_DRAIN) close_gently(c, true);
}

gl_stream *gl_conn_take(gl_conn *c, gl_buf *rest, const gl_takeover *takeover, void *proto) {
  gl_stream *stream = c->stream;
  *rest = c->in;
  c->in = (gl_buf){0};
  c->stream = NULL;
  c->responded = true;
  c->takeover = takeover;
  c->proto = proto;
  return stream;
}

void gl_conn_stream_closed(gl_conn *c) {
  c->left = true;
  if (!c->task) conn_free(c);
}

/* ---- the request in progress ---- */

static void next_request(gl_conn *c, bool in_driver) {
  c->state = GL_CONN_HEAD;
  c->stalled = gl_stream_full(c->stream);
  if (c->stream->closing) return; /* it broke while that was found out */
  if (c->stalled) { /* a client that sends requests and reads no answers gets no more of them */
    gl_stream_pause(c->stream);
    return;
  }
  set_deadline(c, c->server->limits.keepalive_timeout);
  if (c->in.len) {
    size_t used = consume(c, gl_buf_at(&c->in), c->in.len, in_driver);
    if (c->state == GL_CONN_LINGER) return; /* refused: what else came is gone */
    gl_buf_eat(&c->in, used);
  }
  if (!c->in.len) gl_buf_free(&c->in);
  if (c->in.len <= IN_HIGH) gl_stream_read(c->stream); /* also while busy: to see the client leave */
  if (c->eof && is_body_open(c)) gl_h1_read_end(&c->reader); /* the rest of it will never come */
  if (c->state != GL_CONN_HEAD) return;
  if (c->eof || c->server->closing) close_gently(c, false);
  if (c->stream) gl_stream_flush(c->stream); /* nothing more to gather */
}

/* The answer is out: what becomes of the connection. */
static void conclude(gl_conn *c) {
  gl_buf_free(&c->body);
  if (c->close_after || c->reader.state == GL_H1_BAD || c->server->closing) {
    close_gently(c, c->reader.state != GL_H1_DONE || c->in.len > 0);
  } else if (c->reader.state == GL_H1_DONE) {
    next_request(c, true);
  } else if (c->wants_continue) { /* it will send the body or not: nobody can tell */
    close_gently(c, true);
  } else {
    c->state = GL_CONN_DRAIN;
    set_deadline(c, c->server->limits.body_timeout);
    gl_stream_read(c->stream);
  }
}

/* "GET /orders [5f1c...]": its id is what the client was told, or its proxy said. */
static const char *describe(gl_conn *c, char *out, size_t size) {
  const gl_request *r = c->req;
  if (!r) return "request";
  size_t method_len;
  const char *method = gl_request_method(r, &method_len);
  int n = (int)(r->path_len > 200 ? 200 : r->path_len);
  char id[GL_REQ_ID_MAX];
  gl_request_name(r, id);
  snprintf(out, size, "%.*s %.*s [%s]", (int)method_len, method, n, (const char *)&r->fields[r->nfields], id);
  return out;
}

typedef struct failure {
  gl_task *task;
  gl_failure was;
} failure;

static int read_failure(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  if (gl_task_push_error(L, f->task)) gl_response_failure(L, -1, &f->was);
  return 0;
}

/* Has the app a function for failures? Keeps what it will be called with, as the task that failed is about to go. */
static int keep_failure(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  gl_conn *c = f->task->owner;
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->server->dispatch);
  if (lua_rawgeti(L, -1, GL_ON_ERROR) == LUA_TNIL) return 0;
  lua_createtable(L, 5, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  gl_task_push_kept(L, f->task);
  lua_rawseti(L, -2, 2);
  lua_pushinteger(L, f->was.status);
  lua_rawseti(L, -2, 3);
  lua_pushstring(L, f->was.reason);
  lua_rawseti(L, -2, 4);
  if (gl_task_push_error(L, f->task)) lua_rawseti(L, -2, 5);
  c->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static void drop_failure(gl_conn *c) {
  if (c->error_ref) luaL_unref(c->server->host->L, LUA_REGISTRYINDEX, c->error_ref);
  c->error_ref = 0;
}

static void on_end(gl_task *t, int status, int nresults);

/* Leaves the answer to the app's function for failures, in a task of its own: the one that failed may have no time left.
 * False: there is no such function, or it cannot run. */
static bool hand_over(gl_conn *c, failure *f) {
  lua_State *L = c->server->host->L;
  lua_pushcfunction(L, keep_failure);
  lua_pushlightuserdata(L, f);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (!c->error_ref) return false;
  c->failed = true;
  c->timed_out = false;
  set_deadline(c, c->server->limits.request_timeout);
  gl_task *t = gl_task_start(c->server->host, gl_request_failed_main, c, on_end, true);
  if (!t) {
    drop_failure(c);
    return false;
  }
  gl_task_limit_cpu(t, c->server->limits.cpu_limit);
  c->task = t;
  return true;
}

/* A truncated answer must not look whole. */
static void cut(gl_conn *c) {
  if (c->chunked || c->counted) gl_stream_close(c->stream);
  else gl_stream_reset(c->stream);
}

/* What is no answer is ours to hide and to log. True: the app answers it, in another task. */
static bool fail(gl_conn *c, gl_task *t) {
  failure f = {.task = t, .was = {.status = 500, .reason = "internal server error"}};
  char what[512];
  lua_State *L = c->server->host->L;
  if (c->timed_out) {
    f.was.status = 503;
    snprintf(f.was.reason, sizeof f.was.reason, "%s", GL_OVERTIME);
  } else if (!c->req) { /* it did not even begin */
    f.was.status = 503;
    snprintf(f.was.reason, sizeof f.was.reason, "%s", NO_MEMORY);
    c->close_after = true;
  } else {
    lua_pushcfunction(L, read_failure);
    lua_pushlightuserdata(L, &f);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  bool left = !c->stream || c->stream->broken || c->stream->closing || (c->eof && c->cancel_on_disconnect);
  bool gone = left && f.was.cut; /* cut short because the client left: no fault */
  if (c->takeover) gone = f.was.cut && c->takeover->excuses(c->proto);
  bool late = c->streaming && !(c->stream && gl_response_take_back(c)); /* nobody will read it: the status has left */
  if ((f.was.status >= 500 || late) && !gone) gl_task_log_error(t, describe(c, what, sizeof what));
  if (c->stream && !c->responded) {
    if (c->failed) f.was = (gl_failure){.status = 500, .reason = "internal server error"}; /* the app's function did */
    else if (c->req && !left && hand_over(c, &f)) return true;
    gl_response_send_error(c, f.was.status, f.was.reason);
  } else if (c->stream && c->streaming) {
    cut(c);
  }
  return false;
}

static void on_end(gl_task *t, int status, int nresults) {
  (void)nresults;
  if (t->forked) return; /* the connection is its parent's */
  gl_conn *c = t->owner;
  drop_failure(c); /* a task that found no memory to begin has not taken it */
  if (status != LUA_OK && fail(c, t)) return;
  if (c->takeover) c->takeover->over(c->proto, status != LUA_OK);
  wake(&c->waiter, UV_ECANCELED); /* other tasks, which the answer did not wait for */
  wake(&c->writer, UV_ECANCELED);
  if (c->req) c->req->conn = NULL;
  c->req = NULL;
  c->task = NULL;
  if (c->reader.head) gl_server_drop_head(c->server, c->reader.head);
  c->reader.head = NULL;
  gl_response_drop_head(c);
  if (c->takeover && !c->left) return; /* until its stream is closed */
  if (!c->stream) conn_free(c);
  else if (!c->stream->closing) conclude(c);
}

static void begin(gl_conn *c, bool in_driver) {
  gl_head *h = c->reader.head;
  c->state = GL_CONN_RUN;
  c->fresh = false;
  c->minor = h->minor;
  c->head_only = h->method == HTTP_HEAD;
  c->close_after = !h->keep_alive || c->server->closing || c->server->crowded;
  c->body_waited = 0;
  c->body_busy = false;
  c->wants_continue = h->expect_continue && h->has_body;
  c->cancel_on_disconnect = c->server->cancel_on_disconnect;
  c->cancel_chosen = c->server->cancel_chosen;
  c->responded = c->streaming = c->chunked = c->timed_out = c->failed = c->body_refused = false;
  set_deadline(c, c->server->limits.request_timeout);
  c->server->requests++;
  c->task = gl_task_start(c->server->host, gl_request_main, c, on_end, in_driver);
  if (!c->task) {
    conn_refuse(c, 503, NO_MEMORY);
    return;
  }
  c->task->graced = true;
  gl_task_limit_cpu(c->task, c->server->limits.cpu_limit);
}

/* ---- reading ---- */

static bool on_body(gl_h1_reader *r, const char *at, size_t n) {
  gl_conn *c = GL_CONTAINER(r, gl_conn, reader);
  c->wants_continue = false;
  if (c->state == GL_CONN_DRAIN) return r->body_read <= DRAIN_MAX;
  if (gl_buf_add(&c->body, at, n)) return true;
  gl_buf_free(&c->body); /* others may have its memory */
  c->body_refused = true;
  return false;
}

static void refuse_head(gl_conn *c) {
  c->minor = 1;
  c->responded = c->head_only = false;
  c->reader.state = GL_H1_DONE;
  conn_refuse(c, c->reader.head->refuse_status, c->reader.head->refuse_reason);
}

static bool begin_head(gl_conn *c) {
  gl_head *head = gl_server_head(c->server);
  if (!head) return false;
  gl_h1_reader_next(&c->reader, head);
  set_deadline(c, c->server->limits.header_timeout);
  return true;
}

static size_t feed_head(gl_conn *c, const char *bytes, size_t n, bool in_driver) {
  if (!c->reader.head && !begin_head(c)) {
    gl_stream_close(c->stream);
    return n;
  }
  size_t used = gl_h1_read_head(&c->reader, bytes, n);
  if (c->reader.head->refuse_status) {
    refuse_head(c);
    return n;
  }
  if (c->reader.state != GL_H1_HEAD) begin(c, in_driver);
  return used;
}

/* Tell a waiting reader what it wants to know, and hold the client back when nobody reads. */
static void body_arrived(gl_conn *c) {
  if (c->reader.state == GL_H1_BAD) wake(&c->waiter, c->body_refused ? UV_ENOMEM : UV_EPROTO);
  else if (c->waiter) {
    bool enough = c->reader.state == GL_H1_DONE || c->body.len > c->reader_wants;
    count_body_wait(c);
    if (enough) set_deadline(c, c->server->limits.request_timeout);
    else set_body_deadline(c);
    if (enough) wake(&c->waiter, 0);
  }
  if (c->stream && !c->waiter && is_body_open(c) && c->body.len > BODY_HIGH) gl_stream_pause(c->stream);
}

static size_t feed_body(gl_conn *c, const char *bytes, size_t n) {
  size_t used = gl_h1_read_body(&c->reader, bytes, n);
  if (c->state == GL_CONN_RUN) {
    body_arrived(c);
  } else if (c->reader.state == GL_H1_BAD) {
    close_gently(c, true);
  } else if (c->reader.state == GL_H1_DONE) {
    c->state = GL_CONN_HEAD;
    set_deadline(c, c->server->limits.keepalive_timeout);
  }
  return used;
}

/* As many of the bytes as the state can take now. */
static size_t consume(gl_conn *c, const char *bytes, size_t n, bool in_driver) {
  size_t used = 0;
  while (used < n) {
    if (c->state == GL_CONN_HEAD) used += feed_head(c, bytes + used, n - used, in_driver);
    else if (c->state == GL_CONN_LINGER) return n;
    else if (is_body_open(c)) used += feed_body(c, bytes + used, n - used);
    else break;
  }
  return used;
}

static void on_data(gl_stream *stream, const char *bytes, size_t n) {
  gl_conn *c = stream->owner;
  size_t used = c->in.len ? 0 : consume(c, bytes, n, false);
  if (used == n) return;
  bool kept = gl_buf_add(&c->in, bytes + used, n - used);
  if (!kept && c->state != GL_CONN_RUN) gl_conn_abort(c);
  else if (!kept) c->close_after = true; /* it had better wait for its answer before it asks again */
  if (!kept || c->in.len > IN_HIGH) gl_stream_pause(stream);
}

/* The client will send nothing more (UV_EOF), or is gone. */
static void lose(gl_conn *c, int status) {
  c->eof = true;
  if (c->state == GL_CONN_RUN) gl_h1_read_end(&c->reader);
  wake(&c->waiter, UV_ECONNRESET);
  if (c->task && c->cancel_on_disconnect) gl_task_cancel(c->task);
  if (status == UV_EOF) return; /* half closed: the answer is still wanted */
  wake(&c->writer, UV_EPIPE);
  gl_stream_close(c->stream);
}

static void on_stream_end(gl_stream *stream, int status) {
  gl_conn *c = stream->owner;
  if (c->state == GL_CONN_RUN || status != UV_EOF) {
    lose(c, status);
    return;
  }
  c->eof = true;
  gl_stream_finish(stream, false); /* it may still be reading the last answer */
}

static void on_drained(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (c->stalled && !stream->broken) next_request(c, false);
  else wake(&c->writer, stream->broken ? UV_EPIPE : 0);
}

static void on_blocked(gl_stream *stream) {
  gl_conn *c = stream->owner;
  if (c->blocked) return;
  c->blocked = true;
  c->delivered = 0;
  c->write_deadline = uv_now(&c->server->host->loop) + (uint64_t)(c->server->limits.write_timeout * 1000);
}

const gl_stream_user gl_conn_user = {on_data, on_stream_end, on_drained, on_closed, on_blocked, true};

void gl_conn_want_body(gl_conn *c) {
  if (!c->stream) return;
  if (c->wants_continue && (!c->responded || c->held)) gl_stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  c->wants_continue = false;
  set_body_deadline(c);
  gl_stream_read(c->stream);
}

void gl_conn_set_cancel_on_disconnect(gl_conn *c, bool cancel_on_disconnect) {
  bool gone = c->takeover ? c->deserted : c->eof || !c->stream;
  c->cancel_on_disconnect = cancel_on_disconnect;
  c->cancel_chosen = true;
  if (cancel_on_disconnect && c->task && gone) gl_task_cancel(c->task);
}

void gl_conn_default_cancel_on_disconnect(gl_conn *c) {
  if (!c->cancel_chosen) c->cancel_on_disconnect = true;
}

void gl_conn_streams(gl_conn *c, bool live) {
  gl_conn_default_cancel_on_disconnect(c);
  if (live && c->cancel_on_disconnect && c->eof) gl_task_cancel(c->task);
}

void gl_conn_peer_gone(gl_conn *c) {
  c->deserted = true;
  if (c->task && c->cancel_on_disconnect) gl_task_cancel(c->task);
}

/* ---- deadlines ---- */

static void run_overdue(gl_conn *c) {
  if (c->waiter) {
    c->reader.state = GL_H1_BAD;
    c->close_after = true;
    wake(&c->waiter, UV_ETIMEDOUT);
  } else if (!c->streaming && !c->timed_out) {
    c->timed_out = true;
    c->task->trace_cancel = true;
    c->close_after = true;
    gl_task_cancel(c->task);
  }
  set_deadline(c, c->server->limits.request_timeout);
}

/* Between two requests, with nothing on the way in or out. */
static bool is_idle(const gl_conn *c) { return c->state == GL_CONN_HEAD && !c->reader.head && !c->fresh && !c->blocked; }

/* Does the client take what was written? Looked at in each sweep, so that a slow one, which takes a little each time, is not
 * mistaken for one that takes nothing. */
static bool takes_output(gl_conn *c, uint64_t now) {
  uint64_t delivered = gl_stream_delivered(c->stream);
  if (delivered == c->delivered) return now < c->write_deadline;
  c->delivered = delivered;
  c->write_deadline = now + (uint64_t)(c->server->limits.write_timeout * 1000);
  return true;
}

/* All output is out: what comes next has its time from now on. */
static void unblock(gl_conn *c) {
  c->blocked = false;
  if (c->state == GL_CONN_LINGER) set_deadline(c, LINGER_SECONDS);
  else if (c->state == GL_CONN_HEAD && !c->reader.head) set_deadline(c, c->server->limits.keepalive_timeout);
  else if (c->state == GL_CONN_DRAIN) set_deadline(c, c->server->limits.body_timeout);
}

/* What follows an answer has its time when that is out. */
static bool is_taking(const gl_conn *c) { return c->blocked && c->state != GL_CONN_RUN && !c->reader.head; }

bool gl_conn_sweep(gl_conn *c, uint64_t now) {
  if (!c->stream || c->stream->closing) return false;
  if (c->blocked && !gl_stream_pending(c->stream)) unblock(c);
  bool lost = c->blocked && !takes_output(c, now);
  if (!lost && (is_taking(c) || (now < c->deadline && !(is_idle(c) && c->server->crowded)))) return c->blocked;
  if (lost) lose(c, UV_ETIMEDOUT);
  else if (c->state == GL_CONN_RUN) run_overdue(c);
  else if (c->state == GL_CONN_HEAD && c->reader.head) conn_refuse(c, 408, "the request head took too long");
  else gl_stream_close(c->stream);
  return true;
}
