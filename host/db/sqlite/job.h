/* SPDX-License-Identifier: MIT
 *
 * Jobs of a SQLite connection: ops that run on the thread pool, one at a time, in the order in which they were queued. A job that
 * found the database locked is started again from the loop, a little later each time, so that no thread of the pool ever sleeps for
 * a lock.
 *
 *     gl_sqlite_job_await --> WAITING --finish of the one before: start--> RUNNING (on the pool) --on_job--> done
 *            |                   |                                          ^   |
 *            | (none is running) | gl_sqlite_job_cancel: done       on_retry|   | on_job, try_again: the database is locked
 *            '---> RUNNING       '----> done                                |   v
 *                                                                         LOCKED --gl_sqlite_job_cancel--> done
 *
 *  1. `running` is the one job that is RUNNING or LOCKED; only while it is RUNNING is the engine the pool thread's.
 *  2. Cancelling a RUNNING job asks its statement to stop (`stop`) and dooms the transaction; on_job still comes.
 *  3. Statements that were dropped while a job ran are put back by the next job, before its `run`: only then the engine is free.
 *
 * A connection lives as long as its handle in Lua, a cursor or a job refers to it. When the last reference goes, the connection is
 * closed on the pool, since closing writes to the disk.
 */
#ifndef GL_DB_SQLITE_JOB_H
#define GL_DB_SQLITE_JOB_H

#include "core/work.h"
#include "db/sqlite/engine.h"

typedef struct gl_sqlite_job gl_sqlite_job;

typedef struct gl_sqlite_conn {
  gl_host *host;
  uint32_t process;         /* number of the process that made the connection (gl_host.process) */
  gl_sqlite engine;         /* used by the running job's thread; by the loop while none runs */
  gl_sqlite_job *running;   /* NULL: none */
  gl_opqueue waiting;       /* jobs that are started one after the other once `running` has ended */
  gl_sqlite_stmt *dropped;  /* statements that the next job has to put back */
  gl_sqlite_stmt *dropping; /* statements that the running job puts back first */
  uv_work_t closing;        /* the closing of an engine without references */
  uint32_t refs;
  bool alone;               /* no cursor is open beside the running job */
  bool counted;             /* in census.handles */
} gl_sqlite_conn;

/* The first member of each op on a connection. */
struct gl_sqlite_job {
  gl_work work;
  gl_sqlite_conn *conn;                 /* referenced; NULL: the job was never queued */
  int (*run)(gl_sqlite_job *job);       /* runs on the pool; uses only the engine and the job; a code, described in `fault` */
  void (*ended)(gl_sqlite_job *job);    /* runs on the loop, once, before the op is done; may be NULL */
  gl_sqlite_fault fault;                /* why `run` failed; code 0 = it succeeded */
  gl_timer retry;                       /* armed while the job is LOCKED */
  uint64_t give_up;                     /* from when on a locked database is an error (uv_hrtime); 0 = it was not locked yet */
  int tries;                            /* how often the database was locked */
  bool interruptible;                   /* the statement may be stopped half way */
  bool once;                            /* set by `run`: the job went on with an open statement, which cannot begin anew */
};

/* Makes a connection whose engine is not open, with one reference, the caller's. Counted in census.handles until it is closed.
 * NULL: out of memory. */
gl_sqlite_conn *gl_sqlite_conn_new(gl_host *h);

/* Gives a reference up. The last one closes the connection on the pool and frees it; no one waits for that. */
void gl_sqlite_conn_unref(gl_sqlite_conn *c);

/* Was the connection opened by the parent of this forked child? SQLite's locks, above all, belong to the process: such a connection is
 * neither used here (each job fails) nor closed, which would roll the parent's transaction back. */
static inline bool gl_sqlite_conn_is_foreign(const gl_sqlite_conn *c) { return c->process != c->host->process; }

/* Takes a connection whose engine was closed out of census.handles. Does nothing the second time. */
void gl_sqlite_conn_closed(gl_sqlite_conn *c);

/* Is the connection fit for its next user, without a job that runs or waits, and with nothing left open (gl_sqlite_clean)? */
bool gl_sqlite_conn_clean(const gl_sqlite_conn *c);

/* Does a job run or wait, be it one that was given up? */
bool gl_sqlite_conn_busy(const gl_sqlite_conn *c);

/* Is a transaction open, be it one that gl_sqlite_begin did not begin? False while a job runs. */
bool gl_sqlite_conn_in_transaction(const gl_sqlite_conn *c);

/* Has the next job put `stmt`, which a cursor took, back into the engine. */
void gl_sqlite_conn_drop(gl_sqlite_conn *c, gl_sqlite_stmt *stmt);

/* Queues `job`, whose `run` is set, on `c`, of which the job takes a reference, and waits up to `timeout` seconds for it. Returns and
 * raises what the `push` of its optype does: use as `return gl_sqlite_job_await(...)`. */
int gl_sqlite_job_await(lua_State *L, gl_sqlite_job *job, gl_sqlite_conn *c, double timeout);

/* Ends a job for which memory was refused, so that its `push` raises ENOMEM; use as `return gl_sqlite_job_no_memory(...)`. */
int gl_sqlite_job_no_memory(lua_State *L, gl_sqlite_job *job);

/* The `cancel` of a job's optype. */
void gl_sqlite_job_cancel(gl_op *op);

/* Frees what a job holds; the last call of its optype's `free`. */
void gl_sqlite_job_free(gl_sqlite_job *job);

/* Raises the job's fault as an error object, with `sql`, the statement that failed, unless that is NULL. Never returns. */
int gl_sqlite_job_raise(lua_State *L, gl_sqlite_job *job, const char *sql);

#endif
