/* SPDX-License-Identifier: MIT */
#include "db/postgres/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/block.h"
#include "core/check.h"
#include "core/opqueue.h"
#include "db/postgres/connect.h"
#include "db/postgres/copy.h"
#include "db/postgres/notes.h"
#include "db/postgres/statement.h"

#define PATIENCE 2.0      /* seconds in which the server has to stop a statement */
#define PAUSE_FIRST 1e-3  /* seconds until the first look after the cancel; doubled with each */
#define PAUSE_MOST 2e-2
#define AGAIN 0.1         /* seconds from one cancel to the next: one that comes before its statement has begun does nothing */

struct gl_pg_poller {
  uv_poll_t poll;
  gl_pg_conn *conn;
  int events;
};

/* ---- the socket ---- */

static void on_closed(uv_handle_t *handle) { free(handle->data); }

void gl_pg_conn_unwatch(gl_pg_conn *c) {
  if (c->poller) uv_close((uv_handle_t *)&c->poller->poll, on_closed);
  c->poller = NULL;
}

static void read_socket(gl_pg_conn *c);
static void read_results(gl_pg_conn *c);
static bool is_idle(const gl_pg_conn *c);

static void on_event(uv_poll_t *poll, int status, int events) {
  gl_pg_poller *p = poll->data;
  gl_pg_conn *c = p->conn;
  (void)events;
  if (status < 0) p->events = 0; /* libuv has stopped it; reading finds the error */
  if (c->running && c->running->step == GL_PG_CONNECT) gl_pg_connect_step(c->running);
  else read_socket(c);
}

static gl_pg_poller *poller_new(gl_pg_conn *c) {
  gl_pg_poller *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  if (uv_poll_init(&c->host->loop, &p->poll, PQsocket(c->pg)) != 0) {
    free(p);
    return NULL;
  }
  p->poll.data = p;
  p->conn = c;
  return p;
}

bool gl_pg_conn_watch(gl_pg_conn *c, int events) {
  if (!c->poller) c->poller = poller_new(c);
  if (!c->poller) return false;
  if (c->poller->events == events) return true;
  c->poller->events = events;
  return uv_poll_start(&c->poller->poll, events, on_event) == 0;
}

/* Rests while nobody hears what comes. */
static void rest(gl_pg_conn *c) {
  if (!gl_pg_conn_watch(c, 0)) gl_pg_conn_lose(c, "ENOMEM", "not enough memory");
}

void gl_pg_conn_flush(gl_pg_conn *c) {
  int more = PQflush(c->pg);
  if (more < 0) gl_pg_conn_lose_as_said(c);
  else if (!gl_pg_conn_watch(c, more ? UV_READABLE | UV_WRITABLE : UV_READABLE)) gl_pg_conn_lose(c, "ENOMEM", "not enough memory");
}

/* ---- making and losing it ---- */

gl_pg_conn *gl_pg_conn_new(gl_host *h, const char *init_sql, bool unnamed) {
  gl_pg_conn *c = calloc(1, sizeof *c);
  if (c && init_sql) c->init_sql = strdup(init_sql);
  if (!c || (init_sql && !c->init_sql)) {
    free(c);
    return NULL;
  }
  c->host = h;
  c->process = h->process;
  c->refs = 1;
  c->unnamed = unnamed;
  c->counted = true;
  h->census.handles++;
  return c;
}

static void end_draining(gl_pg_conn *c) {
  c->draining = false;
  gl_timer_drop(&c->host->clock, &c->timer);
  if (c->canceller) gl_pg_canceller_drop(c->canceller);
  c->canceller = NULL;
}

static void fail(gl_pg_op *op) {
  const gl_pg_fault *lost = &op->conn->lost;
  gl_pg_fault_set(&op->fault, lost->code, "%s", lost->message);
  gl_op_done(&op->op, 0);
}

void gl_pg_conn_lose(gl_pg_conn *c, const char *code, const char *why) {
  gl_pg_op *running = c->running;
  gl_pg_fault_set(&c->lost, code, "%s", why);
  gl_pg_conn_unwatch(c);
  PQfinish(c->pg);
  c->pg = NULL;
  end_draining(c);
  c->copying = GL_PG_COPY_NONE;
  gl_pg_cache_clear(&c->cache);
  if (c->counted) c->host->census.handles--;
  c->counted = false;
  c->running = NULL;
  if (running) fail(running);
  for (gl_op *op; (op = gl_opqueue_take(&c->waiting)) != NULL;) fail((gl_pg_op *)op);
  gl_pg_notes_end(c);
}

void gl_pg_conn_lose_as_said(gl_pg_conn *c) {
  gl_pg_fault why = {0};
  gl_pg_fault_of_conn(&why, c->pg);
  gl_pg_conn_lose(c, why.code, why.message);
}

/* The poller of a foreign one stays, as the fork has left it: it does nothing. */
void gl_pg_conn_unref(gl_pg_conn *c) {
  if (--c->refs > 0) return;
  if (!gl_pg_conn_is_foreign(c)) gl_pg_conn_lose(c, "ECLOSED", "the connection was closed");
  gl_pg_cache_clear(&c->cache);
  free(c->init_sql);
  free(c);
}

/* ---- what runs next ---- */

static void on_turn(gl_turn_hook *turn) {
  gl_pg_conn *c = GL_CONTAINER(turn, gl_pg_conn, turn);
  while (!c->running && !c->draining) {
    c->running = (gl_pg_op *)gl_opqueue_take(&c->waiting);
    if (!c->running) break;
    gl_pg_statement_start(c->running);
    if (c->running && c->copying) read_results(c);
  }
  gl_pg_notes_hand_out(c);
  if (c->hearers.head && is_idle(c)) gl_pg_conn_flush(c);
  gl_pg_conn_unref(c);
}

void gl_pg_conn_queue_turn(gl_pg_conn *c) {
  if (gl_turn_is_queued(c->host, &c->turn)) return;
  c->refs++;
  c->turn.run = on_turn;
  gl_at_turn_end(c->host, &c->turn);
}

static void queue_turn(gl_pg_conn *c) {
  if (c->waiting.head) gl_pg_conn_queue_turn(c);
}

void gl_pg_conn_finish(gl_pg_op *op, int status) {
  gl_pg_conn *c = op->conn;
  c->running = NULL;
  gl_op_done(&op->op, status);
  queue_turn(c);
}

static void refuse(gl_pg_op *op) {
  gl_pg_fault_set(&op->fault, "ECLOSED", "the connection is the parent process's: a forked child opens one of its own");
  gl_op_done(&op->op, 0);
}

int gl_pg_conn_await(lua_State *L, gl_pg_op *op, gl_pg_conn *c, double timeout) {
  op->conn = c;
  c->refs++;
  if (gl_pg_conn_is_foreign(c)) {
    refuse(op);
  } else {
    gl_opqueue_push(&c->waiting, &op->op);
    queue_turn(c);
  }
  return gl_await(L, &op->op, timeout);
}

void gl_pg_op_free(gl_op *o) {
  gl_pg_op *op = (gl_pg_op *)o;
  gl_pg_rows_clear(&op->rows);
  gl_buf_free(&op->copied.bytes);
  gl_buf_free(&op->copied.sizes);
  gl_pg_fault_clear(&op->fault);
  gl_pg_call_free(op->call);
  gl_pg_call_free(op->script);
  free(op->params);
  if (op->conn) gl_pg_conn_unref(op->conn);
}

/* ---- stopping a statement ---- */

static void settle(gl_pg_conn *c) {
  if (!c->draining || !c->quiet || c->canceller) return;
  end_draining(c);
  queue_turn(c);
}

static void on_timer(gl_timer *timer) {
  gl_pg_conn *c = GL_CONTAINER(timer, gl_pg_conn, timer);
  if (uv_hrtime() >= c->give_up) {
    gl_pg_conn_lose(c, "ETIMEDOUT", "the server did not stop a statement when it was asked to");
    return;
  }
  if (!c->canceller) {
    c->canceller = gl_pg_canceller_new(c->pg);
    c->pause = c->canceller ? PAUSE_FIRST : AGAIN;
  } else if (gl_pg_canceller_is_done(c->canceller)) {
    gl_pg_canceller_drop(c->canceller);
    c->canceller = NULL;
    c->pause = AGAIN;
  } else if (c->pause < PAUSE_MOST) {
    c->pause *= 2;
  }
  read_results(c); /* the rest may be there already */
  settle(c);
  if (c->draining && !gl_timer_arm(&c->host->clock, &c->timer, c->pause)) gl_pg_conn_lose(c, "ENOMEM", "not enough memory");
}

void gl_pg_conn_drain(gl_pg_conn *c) {
  if (c->begun) c->doomed = true;
  c->draining = true;
  c->quiet = false;
  c->give_up = gl_clock_after(uv_hrtime(), PATIENCE);
  c->pause = PAUSE_FIRST;
  c->timer.fire = on_timer;
  c->canceller = gl_pg_canceller_new(c->pg);
  if (!gl_timer_arm(&c->host->clock, &c->timer, c->pause)) gl_pg_conn_lose(c, "ENOMEM", "not enough memory");
  else if (c->copying) gl_pg_conn_flush(c);
}

void gl_pg_conn_stop(gl_pg_op *op, int status) {
  gl_pg_conn *c = op->conn;
  c->running = NULL;
  if (op->purpose == GL_PG_ROLLS_BACK || op->purpose == GL_PG_RESETS) c->begun = true; /* perhaps still */
  gl_op_done(&op->op, status); /* does not free it, which the driver does later */
  if (op->step == GL_PG_CONNECT) gl_pg_conn_lose(c, "ECANCELED", "connecting was given up");
  else gl_pg_conn_drain(c);
}

void gl_pg_op_cancel(gl_op *o) {
  gl_pg_op *op = (gl_pg_op *)o;
  gl_pg_conn *c = op->conn;
  if (c->running == op) {
    gl_pg_conn_stop(op, UV_ECANCELED);
    return;
  }
  if (c->begun) c->doomed = true;
  gl_opqueue_remove(&c->waiting, o);
  gl_op_done(o, UV_ECANCELED);
}

/* ---- reading ---- */

/* Takes the results that are there. The server is ready after the last one of a step, unless the connection has broken. */
static void read_results(gl_pg_conn *c) {
  while (c->pg && !PQisBusy(c->pg) && (c->running || (c->draining && !c->quiet))) {
    if (c->copying) {
      if (gl_pg_copy_go_on(c)) continue;
      return;
    }
    PGresult *r = PQgetResult(c->pg);
    if (r && c->running) gl_pg_statement_result(c->running, r);
    else if (r) gl_pg_statement_dropped(c, r);
    else if (PQstatus(c->pg) == CONNECTION_BAD) return;
    else if (c->running) gl_pg_statement_ended(c->running);
    else c->quiet = true;
  }
}

static void read_socket(gl_pg_conn *c) {
  bool ok = PQconsumeInput(c->pg);
  read_results(c); /* also after a failure: the server may have said why */
  if (!c->pg) return;
  if (!ok || PQstatus(c->pg) == CONNECTION_BAD || (c->dying && !c->running)) {
    gl_pg_conn_lose_as_said(c);
    return;
  }
  gl_pg_notes_hand_out(c);
  settle(c);
  bool unread = c->copying == GL_PG_COPY_OUT && !c->running && !c->draining;
  if (unread || (c->listens && !c->hearers.head && is_idle(c))) rest(c);
  else gl_pg_conn_flush(c);
}

/* ---- what state it is in ---- */

static bool is_idle(const gl_pg_conn *c) {
  return !gl_pg_conn_is_foreign(c) && c->pg && !c->running && !c->draining && !c->copying && !c->waiting.head && !c->dying;
}

bool gl_pg_conn_busy(const gl_pg_conn *c) { return !gl_pg_conn_is_foreign(c) && (c->running || c->draining || c->waiting.head); }

bool gl_pg_conn_clean(const gl_pg_conn *c) {
  return is_idle(c) && !c->begun && !c->changed && PQtransactionStatus(c->pg) == PQTRANS_IDLE;
}

bool gl_pg_conn_in_transaction(const gl_pg_conn *c) { return is_idle(c) && PQtransactionStatus(c->pg) != PQTRANS_IDLE; }

bool gl_pg_conn_alive(gl_pg_conn *c) {
  char byte;
  return gl_pg_conn_clean(c) && recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
