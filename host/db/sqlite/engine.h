/* SPDX-License-Identifier: MIT
 *
 * One SQLite connection as a pool thread sees it: open, prepared statements, rows, clean-up. Plain C, no
 * Lua, no loop. One job at a time may be inside; only `stop` and `doomed` are for other threads.
 *
 * Nothing in here waits for a lock: SQLITE_BUSY comes back at once, and the job is tried again later
 * (sqlite_job.c), so that no number of writers can take the thread pool.
 */
#ifndef GL_DB_SQLITE_ENGINE_H
#define GL_DB_SQLITE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "core/buf.h"

/* A value on its way in (s.ptr) or out (s.off into the bytes of its rows). */
typedef struct gl_sqlite_value {
  uint32_t type; /* SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB, _NULL */
  uint32_t len;  /* of TEXT and BLOB */
  union {
    int64_t integer;
    double real;
    const char *ptr;
    size_t off;
  } as;
} gl_sqlite_value;

/* A statement's text and parameters, in one block of memory (gl_memory_resize). */
typedef struct gl_sqlite_call {
  size_t size;     /* bytes of the block */
  const char *sql; /* ends with a NUL */
  int len;
  int n;
  gl_sqlite_value values[];
} gl_sqlite_call;

/* Frees a call, on any thread; NULL is harmless. */
void gl_sqlite_call_free(gl_sqlite_call *call);

typedef struct gl_sqlite_rows {
  int ncols;
  int count;
  gl_buf names; /* ncols strings, each with its NUL */
  gl_buf cells; /* count * ncols gl_sqlite_value */
  gl_buf bytes; /* what the TEXT and BLOB cells point into */
} gl_sqlite_rows;

void gl_sqlite_rows_free(gl_sqlite_rows *rows);

/* Beside SQLite's own result codes. */
enum {
  GL_SQLITE_WRITES = -1, /* not a failure: a statement that writes came to a connection that reads */
  GL_SQLITE_CLOSED = -2
};

/* What went wrong. */
typedef struct gl_sqlite_fault {
  int code;      /* extended result code, or one of the above */
  char *message; /* sqlite3_free; NULL = the code's own text */
} gl_sqlite_fault;

/* The fault in words; valid as long as the fault is. */
const char *gl_sqlite_fault_text(const gl_sqlite_fault *fault);

/* "SQLITE_CONSTRAINT_UNIQUE" */
const char *gl_sqlite_code_name(int code);

/* What a statement does beside reading and writing data (sqlite_session.h). */
enum { GL_SQLITE_ASKS = 1, GL_SQLITE_CHANGES = 2, GL_SQLITE_FOREIGN_KEYS = 4, GL_SQLITE_REFUSED = 8 };

typedef struct gl_sqlite_seen {
  unsigned what; /* of the above */
  char name[44]; /* "PRAGMA cache_size": the gravest of it */
} gl_sqlite_seen;

/* A prepared statement: in the cache, or taken out of it by who runs it. */
typedef struct gl_sqlite_stmt {
  struct gl_sqlite_stmt *prev, *next; /* in the cache or in `out` */
  struct gl_sqlite_stmt *dropped;     /* list of statements that wait to be put back */
  sqlite3_stmt *stmt;   /* NULL: finalized by reset or close while it was out */
  gl_sqlite_call *bound; /* what its parameters point into, when it owns that */
  uint32_t hash;
  int len;
  int nparams;          /* $1 to $nparams */
  int nslots;
  int *slots;           /* slots[i] is the parameter of SQLite's i + 1 */
  gl_sqlite_seen seen;
  char sql[];
} gl_sqlite_stmt;

#define GL_SQLITE_NAME 24 /* bytes of the name of a savepoint, at most */

typedef struct gl_sqlite_list {
  gl_sqlite_stmt *head, *tail;
} gl_sqlite_list;

/* Where a connection leads and how: what it takes to open it again. */
typedef struct gl_sqlite_place {
  char *path;     /* owned; a file, ":memory:", or with `uri` SQLite's own kind of URL */
  char *init_sql; /* owned; for each new connection; NULL = none */
  int flags;      /* of sqlite3_open_v2 */
  bool reads;     /* query_only: for reading beside one that writes */
  bool immutable; /* nobody writes: read without a lock */
} gl_sqlite_place;

typedef struct gl_sqlite {
  sqlite3 *db;          /* NULL: not open (yet, any more) */
  gl_sqlite_place place;
  gl_sqlite_seen seen;  /* of what is being prepared */
  bool alone;           /* nothing in its script could see what that does to the session */
  bool changed;         /* its session was: to be opened anew */
  bool tx;              /* between begin and commit: without SQLite's transaction nothing may run */
  gl_sqlite_list cache; /* most recently used first */
  int cached;
  gl_sqlite_list out;   /* in use */
  atomic_bool stop;     /* set by the loop: give the running statement up */
  atomic_bool doomed;   /* set by the loop: a statement was stopped, this transaction can only be rolled back */
} gl_sqlite;

/* All return an SQLite code, 0 when well, and describe a failure in `fault`. */

/* Opens what e->place says (sqlite_open.c). A database that cannot be written is read without a try to. */
int gl_sqlite_open(gl_sqlite *e, gl_sqlite_fault *fault);
void gl_sqlite_close(gl_sqlite *e);

/* Roll back whatever is open, finalize what is out, undo what was done to the session: the connection is as good as new. */
int gl_sqlite_reset(gl_sqlite *e, gl_sqlite_fault *fault);

/* BEGIN IMMEDIATE, COMMIT, ROLLBACK (well too when there is nothing to roll back). */
int gl_sqlite_begin(gl_sqlite *e, gl_sqlite_fault *fault);
int gl_sqlite_commit(gl_sqlite *e, gl_sqlite_fault *fault);
int gl_sqlite_rollback(gl_sqlite *e, gl_sqlite_fault *fault);

/* ROLLBACK TO and RELEASE of a savepoint. It was the innermost, so that what a stopped statement did is undone with it. */
int gl_sqlite_rollback_to(gl_sqlite *e, const char *name, gl_sqlite_fault *fault);

/* Is it fit for the next user? From the loop's thread only while no job is inside. */
bool gl_sqlite_clean(const gl_sqlite *e);

/* Take the statement of `call`, prepared and with its parameters bound; they point into `call`. */
int gl_sqlite_take(gl_sqlite *e, const gl_sqlite_call *call, gl_sqlite_stmt **stmt, gl_sqlite_fault *fault);

/* Hand it back: reset, unbound, in the cache. */
void gl_sqlite_put(gl_sqlite *e, gl_sqlite_stmt *stmt);

/* Step until `max_rows` or `max_bytes` are reached (SQLITE_ROW: there may be more), or the end (SQLITE_DONE).
 * Rows are added to `rows`. */
int gl_sqlite_step(gl_sqlite *e, gl_sqlite_stmt *stmt, gl_sqlite_rows *rows, int max_rows, size_t max_bytes, gl_sqlite_fault *fault);

/* Run the statements of `sql` from *at (in it) on, without parameters; rows are dropped. *at moves with each that is done,
 * so that a call after SQLITE_BUSY goes on where it stopped. */
int gl_sqlite_script(gl_sqlite *e, const char *sql, const char **at, int64_t *affected, gl_sqlite_fault *fault);

/* Run SQL of our own; describe what SQLite says. */
int gl_sqlite_run(gl_sqlite *e, const char *sql, gl_sqlite_fault *fault);
int gl_sqlite_fault_of_db(sqlite3 *db, int rc, gl_sqlite_fault *fault);

/* Progress: give up? For sqlite3_progress_handler, with the engine. */
int gl_sqlite_is_stopped(void *engine);

/* Rows changed since `total` (an earlier sqlite3_total_changes64) by the statement that ran last. */
int64_t gl_sqlite_affected(const gl_sqlite *e, int64_t total);

#endif
