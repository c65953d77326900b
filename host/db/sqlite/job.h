/* SPDX-License-Identifier: MIT
 *
 * Jobs of a SQLite connection: ops that run on the thread pool, one at a time, in the order they came. A
 * job that found the database locked is started again from the loop, a little later each time, so that no
 * pool thread ever sleeps for a lock.
 *
 *     gl_sqlite_job_await --> WAITING --finish of the one before: start--> RUNNING (on the pool) --on_job--> done
 *            |                   |                                          ^   |
 *            | (none is running) | gl_sqlite_job_cancel: done       on_retry|   | on_job, try_again: the database is locked
 *            '---> RUNNING       '----> done                                |   v
 *                                                                         LOCKED --gl_sqlite_job_cancel--> done
 *
 *  1. `running` is the one job that is RUNNING or LOCKED; only while it is RUNNING is the engine the pool thread's.
 *  2. Cancelling a RUNNING job asks its statement to stop (`stop`) and dooms the transaction; on_job still comes.
 *  3. Statements that were dropped meanwhile are put back by the next job, before it runs.
 *
 * A connection lives as long as anybody refers to it: its handle in Lua, its cursors, each job. It is closed
 * on the pool, whoever was the last.
 */
#ifndef GL_DB_SQLITE_JOB_H
#define GL_DB_SQLITE_JOB_H

#include "core/work.h"
#include "db/sqlite/engine.h"

typedef struct gl_sqlite_job gl_sqlite_job;

typedef struct gl_sqlite_conn {
  gl_host *host;
  uint32_t process;         /* the one that opened it (gl_host.process) */
  gl_sqlite engine;         /* the running job's, or with none the loop's */
  gl_sqlite_job *running;
  gl_opqueue waiting;       /* jobs, for that one */
  gl_sqlite_stmt *dropped;  /* statements to be put back before the next job */
  gl_sqlite_stmt *dropping; /* those the running job puts back first */
  uv_work_t closing;
  uint32_t refs;
  bool alone;               /* no cursor is open beside the running job */
  bool counted;             /* in census.handles */
} gl_sqlite_conn;

/* First member of each op on a connection. */
struct gl_sqlite_job {
  gl_work work;
  gl_sqlite_conn *conn;                 /* referenced; NULL: it was never queued */
  int (*run)(gl_sqlite_job *job);       /* on the pool: an SQLite code; nothing but the engine and the job */
  void (*ended)(gl_sqlite_job *job);    /* on the loop, before done; may be NULL */
  gl_sqlite_fault fault;                /* why run failed */
  gl_timer retry;                       /* armed: the database was locked */
  uint64_t give_up;                     /* when that becomes an error, ns */
  int tries;
  bool interruptible;                   /* the statement may be stopped half way */
  bool once;                            /* set by run: what it goes on with cannot begin anew, should the database be locked */
};

/* NULL: out of memory. */
gl_sqlite_conn *gl_sqlite_conn_new(gl_host *h);
void gl_sqlite_conn_unref(gl_sqlite_conn *c);

/* Was it opened by the parent of this forked child? What SQLite holds of a file, its locks above all, is the process's: such a
 * connection is neither used here (each job fails) nor closed, which would roll its parent's transaction back. */
static inline bool gl_sqlite_conn_is_foreign(const gl_sqlite_conn *c) { return c->process != c->host->process; }

/* It was closed: no longer a handle of the host. */
void gl_sqlite_conn_closed(gl_sqlite_conn *c);

/* Is it fit for the next user, with nothing running, waiting or left open? */
bool gl_sqlite_conn_clean(const gl_sqlite_conn *c);

/* Has a statement left a transaction open? Nothing is running. */
bool gl_sqlite_conn_in_transaction(const gl_sqlite_conn *c);

/* Put a statement of a cursor back, as soon as no job is in the way. */
void gl_sqlite_conn_drop(gl_sqlite_conn *c, gl_sqlite_stmt *stmt);

/* Queue `job`, whose `run` is set, on `c` and wait for it. Use as `return gl_sqlite_job_await(...)`. */
int gl_sqlite_job_await(lua_State *L, gl_sqlite_job *job, gl_sqlite_conn *c, double timeout);

/* The same for a job that could not be made: raises ENOMEM. */
int gl_sqlite_job_no_memory(lua_State *L, gl_sqlite_job *job);

/* For optypes: cancel, and the end of free. */
void gl_sqlite_job_cancel(gl_op *op);
void gl_sqlite_job_free(gl_sqlite_job *job);

/* Raise the job's fault as an error object; `sql` (may be NULL) is what it was doing. Never returns. */
int gl_sqlite_job_raise(lua_State *L, gl_sqlite_job *job, const char *sql);

#endif
