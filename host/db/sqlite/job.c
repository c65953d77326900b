/* SPDX-License-Identifier: MIT */
#include "db/sqlite/job.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/opqueue.h"
#include "db/sql.h"

#define LOCKED_FOR 5.0   /* seconds for which a job tries a locked database again before it fails */
#define RETRY_FIRST 1e-3 /* seconds between the first try and the second; the time doubles with each further try */
#define RETRY_MOST 5e-2  /* seconds between two tries, at most */

/* ---- connections ---- */

gl_sqlite_conn *gl_sqlite_conn_new(gl_host *h) {
  gl_sqlite_conn *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->host = h;
  c->process = h->process;
  c->refs = 1;
  c->counted = true;
  h->census.handles++;
  return c;
}

void gl_sqlite_conn_closed(gl_sqlite_conn *c) {
  if (c->counted) c->host->census.handles--;
  c->counted = false;
}

static void put_back(gl_sqlite *e, gl_sqlite_stmt **list) {
  while (*list) {
    gl_sqlite_stmt *s = *list;
    *list = s->dropped;
    gl_sqlite_put(e, s);
  }
}

static void conn_free(gl_sqlite_conn *c) {
  put_back(&c->engine, &c->dropped); /* the engine is closed and has finalized its statements: this frees their memory */
  put_back(&c->engine, &c->dropping);
  gl_sqlite_conn_closed(c);
  free(c->engine.place.path);
  free(c->engine.place.init_sql);
  free(c);
}

static void run_closing(uv_work_t *req) {
  gl_sqlite_conn *c = req->data;
  gl_memory_serve(c->host, true);
  gl_sqlite_close(&c->engine);
  gl_memory_serve(NULL, false);
}

static void on_closed(uv_work_t *req, int status) {
  (void)status;
  conn_free(req->data);
}

/* Closing writes to the disk, which the loop must not do: the pool does. */
void gl_sqlite_conn_unref(gl_sqlite_conn *c) {
  if (--c->refs > 0 || gl_sqlite_conn_is_foreign(c)) return;
  GL_CHECK(!c->running && !c->waiting.head);
  if (!c->engine.db) {
    conn_free(c);
    return;
  }
  c->closing.data = c;
  uv_queue_work(&c->host->loop, &c->closing, run_closing, on_closed);
}

bool gl_sqlite_conn_clean(const gl_sqlite_conn *c) {
  return !gl_sqlite_conn_is_foreign(c) && !c->running && !c->waiting.head && !c->dropped && !c->dropping && gl_sqlite_clean(&c->engine);
}

bool gl_sqlite_conn_busy(const gl_sqlite_conn *c) { return !gl_sqlite_conn_is_foreign(c) && (c->running || c->waiting.head); }

bool gl_sqlite_conn_in_transaction(const gl_sqlite_conn *c) {
  return !gl_sqlite_conn_is_foreign(c) && !c->running && c->engine.db && !sqlite3_get_autocommit(c->engine.db);
}

void gl_sqlite_conn_drop(gl_sqlite_conn *c, gl_sqlite_stmt *stmt) {
  stmt->dropped = c->dropped;
  c->dropped = stmt;
}

/* ---- a job's turn ---- */

static void run_job(gl_work *w) {
  gl_sqlite_job *job = (gl_sqlite_job *)w;
  put_back(&job->conn->engine, &job->conn->dropping);
  job->fault.code = 0;
  job->run(job);
}

static void hand_over_dropped(gl_sqlite_conn *c) {
  while (c->dropped) { /* `dropping` may not be empty: a job that was cancelled before the pool ran it has put nothing back */
    gl_sqlite_stmt *s = c->dropped;
    c->dropped = s->dropped;
    s->dropped = c->dropping;
    c->dropping = s;
  }
}

static void start(gl_sqlite_job *job) {
  gl_sqlite_conn *c = job->conn;
  c->running = job;
  hand_over_dropped(c);
  c->alone = !c->engine.out.head;
  atomic_store(&c->engine.stop, false);
  gl_work_start(&job->work);
}

static void finish(gl_sqlite_job *job, int status) {
  gl_sqlite_conn *c = job->conn;
  c->running = NULL;
  if (job->ended) job->ended(job);
  gl_op *next = gl_opqueue_take(&c->waiting);
  gl_op_done(&job->work.op, status); /* does not free the job, which the driver does later */
  if (next) start((gl_sqlite_job *)next);
}

static void on_retry(gl_timer *timer) { start(GL_CONTAINER(timer, gl_sqlite_job, retry)); }

static bool try_again(gl_sqlite_job *job) {
  uint64_t now = uv_hrtime();
  int code = job->fault.code;
  if ((code != SQLITE_BUSY && code != SQLITE_BUSY_RECOVERY) || job->once || job->work.op.detached) return false;
  if (!job->give_up) job->give_up = gl_clock_after(now, LOCKED_FOR);
  if (now >= job->give_up) return false;
  double delay = RETRY_FIRST * (double)(1 << (job->tries < 10 ? job->tries : 10));
  job->tries++;
  return gl_timer_arm(&job->work.op.host->clock, &job->retry, delay < RETRY_MOST ? delay : RETRY_MOST);
}

static void on_job(gl_work *w, int status) {
  gl_sqlite_job *job = (gl_sqlite_job *)w;
  if (status < 0 || !try_again(job)) finish(job, status);
}

static void refuse(gl_sqlite_job *job) {
  job->fault.code = SQLITE_MISUSE;
  job->fault.message = sqlite3_mprintf("the connection is the parent process's: a forked child opens one of its own");
  if (job->ended) job->ended(job);
  gl_op_done(&job->work.op, 0);
}

int gl_sqlite_job_await(lua_State *L, gl_sqlite_job *job, gl_sqlite_conn *c, double timeout) {
  gl_op *op = &job->work.op;
  job->conn = c;
  c->refs++;
  job->work.run = run_job;
  job->work.after = on_job;
  job->retry.fire = on_retry;
  if (gl_sqlite_conn_is_foreign(c)) refuse(job);
  else if (!c->running) start(job);
  else gl_opqueue_push(&c->waiting, op); /* a job runs on although its task has given up, or two tasks share the connection */
  return gl_await(L, op, timeout);
}

int gl_sqlite_job_no_memory(lua_State *L, gl_sqlite_job *job) {
  gl_op_done(&job->work.op, UV_ENOMEM);
  return gl_await(L, &job->work.op, GL_FOREVER);
}

/* ---- cancelling ---- */

/* `stop`, which SQLite's progress handler reads every thousand instructions, stops this statement only. sqlite3_interrupt is noticed
 * in more places, but stops every open statement of the connection, and has no effect when it is called before the first step. */
static void interrupt(gl_sqlite_job *job) {
  gl_sqlite_conn *c = job->conn;
  if (!job->interruptible) return;
  atomic_store(&c->engine.stop, true);
  if (c->alone && c->engine.db) sqlite3_interrupt(c->engine.db);
}

void gl_sqlite_job_cancel(gl_op *op) {
  gl_sqlite_job *job = (gl_sqlite_job *)op;
  gl_sqlite_conn *c = job->conn;
  if (job->interruptible) atomic_store(&c->engine.doomed, true);
  if (c->running != job) {
    gl_opqueue_remove(&c->waiting, op);
    if (job->ended) job->ended(job);
    gl_op_done(op, UV_ECANCELED);
  } else if (gl_timer_is_armed(&op->host->clock, &job->retry)) {
    gl_timer_drop(&op->host->clock, &job->retry);
    finish(job, UV_ECANCELED);
  } else {
    interrupt(job);
    gl_work_cancel(op);
  }
}

void gl_sqlite_job_free(gl_sqlite_job *job) {
  sqlite3_free(job->fault.message);
  if (job->conn) gl_sqlite_conn_unref(job->conn);
}

/* ---- errors ---- */

int gl_sqlite_job_raise(lua_State *L, gl_sqlite_job *job, const char *sql) {
  const gl_sqlite_fault *f = &job->fault;
  const char *reason = gl_sqlite_fault_text(f);
  gl_sql_push_error(L, job->work.op.type->name, gl_sqlite_code_name(f->code), reason, sql);
  return lua_error(L);
}
