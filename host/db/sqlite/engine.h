/* SPDX-License-Identifier: MIT
 *
 * One SQLite connection as a pool thread uses it: opening, prepared statements, rows, transactions, clean-up. Plain C: no function
 * here calls Lua or the loop. One job at a time may use an engine (db/sqlite/job.h); other threads touch only `stop` and `doomed`.
 *
 * No function here waits for a lock: SQLITE_BUSY is returned at once, and db/sqlite/job.c starts the job again later, so that no
 * number of writers can occupy all threads of the pool.
 *
 * The transaction (`tx` and SQLite's autocommit; in parentheses the flags)
 *
 *     none (!tx, autocommit) --gl_sqlite_begin--> open (tx, !autocommit) --gl_sqlite_commit, gl_sqlite_rollback--> none
 *
 *     open --gl_sqlite_job_cancel: a statement was given up--> doomed --gl_sqlite_rollback_to--> open
 *                                                                     --gl_sqlite_rollback-----> none
 *     open --a statement fails and SQLite rolls all back; the user's own COMMIT or ROLLBACK--> ended (tx, autocommit)
 *     ended --gl_sqlite_rollback--> none
 *     none --the user's own BEGIN--> unowned (!tx, !autocommit) --the user's own COMMIT or ROLLBACK, gl_sqlite_reset--> none
 *
 *     any --gl_sqlite_reset--> none, any --gl_sqlite_close--> closed (!db) --gl_sqlite_open--> none
 *
 *  1. In `doomed` and `ended` every statement and COMMIT fails (check_transaction), so that nothing runs, and is kept, outside of a
 *     transaction that its user believes to be open.
 *  2. `doomed` may be set at any time, but counts only while `tx` is set; gl_sqlite_begin clears it.
 *  3. A COMMIT that fails, such as with SQLITE_BUSY, leaves the transaction open; the user tries again or rolls back.
 *  4. Only `none`, with no statement in `out` and an unchanged session (db/sqlite/session.h), is clean.
 *
 * A prepared statement
 *
 *     (none) --gl_sqlite_take: stmt_new--> in `out` --gl_sqlite_put--> in `cache` --gl_sqlite_take--> in `out`
 *                                            |                            '--the least recently used of too many; close--> freed
 *                                            '--gl_sqlite_reset, _close--> finalized (stmt NULL) --gl_sqlite_put--> freed
 *
 *  5. Every statement that was taken is put back exactly once, also a finalized one: only then its memory is freed.
 */
#ifndef GL_DB_SQLITE_ENGINE_H
#define GL_DB_SQLITE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "core/buf.h"

/* One value: a parameter, whose text is at as.ptr, or a cell of a row, whose text is at as.off in the `bytes` of its rows. */
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

/* The text and the parameters of a statement, in one block of memory (gl_memory_resize), into which all pointers lead. */
typedef struct gl_sqlite_call {
  size_t size;     /* bytes of the block */
  const char *sql; /* ends with a NUL */
  int len;         /* bytes of `sql`, without the NUL */
  int n;           /* parameters */
  gl_sqlite_value values[];
} gl_sqlite_call;

/* Frees a call, on any thread. Does nothing with NULL. */
void gl_sqlite_call_free(gl_sqlite_call *call);

typedef struct gl_sqlite_rows {
  int ncols;    /* columns; 0 = no step was made yet */
  int count;    /* rows */
  gl_buf names; /* ncols strings, each with its NUL */
  gl_buf cells; /* count * ncols gl_sqlite_value */
  gl_buf bytes; /* the contents of TEXT and BLOB cells */
} gl_sqlite_rows;

/* Frees the three buffers, not `rows` itself. */
void gl_sqlite_rows_free(gl_sqlite_rows *rows);

/* Codes beside SQLite's own result codes. */
enum {
  GL_SQLITE_WRITES = -1, /* not a failure: a statement that writes was given to a connection that only reads */
  GL_SQLITE_CLOSED = -2  /* the connection, or the statement, is closed */
};

/* A failure: its code and its description. */
typedef struct gl_sqlite_fault {
  int code;      /* extended result code, or one of the above; 0 = no failure */
  char *message; /* owned, freed with sqlite3_free; NULL = SQLite's own text for the code is the description */
} gl_sqlite_fault;

/* Returns the failure in words, which are valid until the fault is changed or freed. */
const char *gl_sqlite_fault_text(const gl_sqlite_fault *fault);

/* Returns the name of a code, "SQLITE_CONSTRAINT_UNIQUE"; a static string. */
const char *gl_sqlite_code_name(int code);

/* Bits of gl_sqlite_seen.what: what a statement does beside reading and writing data (db/sqlite/session.h). */
enum { GL_SQLITE_ASKS = 1, GL_SQLITE_CHANGES = 2, GL_SQLITE_FOREIGN_KEYS = 4, GL_SQLITE_REFUSED = 8 };

typedef struct gl_sqlite_seen {
  unsigned what; /* bits of the above; 0 = the statement concerns only data */
  char name[44]; /* the part of the statement to which the gravest bit is due, "PRAGMA cache_size" */
} gl_sqlite_seen;

/* A prepared statement. */
typedef struct gl_sqlite_stmt {
  struct gl_sqlite_stmt *prev, *next; /* neighbours in `cache` or `out` */
  struct gl_sqlite_stmt *dropped;     /* next in a list of statements that wait to be put back (gl_sqlite_conn) */
  sqlite3_stmt *stmt;   /* NULL: finalized by reset or close while the statement was in `out` */
  gl_sqlite_call *bound; /* owned: the call into which the parameters point; NULL = somebody else owns the call */
  uint32_t hash;        /* of `sql` */
  int len;              /* bytes of `sql`, without the NUL */
  int nparams;          /* the statement has $1 to $nparams */
  int nslots;           /* parameters as SQLite counts them */
  int *slots;           /* owned; slots[i] is the number of the parameter that SQLite counts as i + 1 */
  gl_sqlite_seen seen;
  char sql[];
} gl_sqlite_stmt;

#define GL_SQLITE_NAME 24 /* bytes of the name of a savepoint, at most, with its NUL */

typedef struct gl_sqlite_list {
  gl_sqlite_stmt *head, *tail;
} gl_sqlite_list;

/* Everything that opens a connection, kept so that the connection can be opened again. */
typedef struct gl_sqlite_place {
  char *path;     /* owned; a file, ":memory:", or with SQLITE_OPEN_URI SQLite's own kind of URL */
  char *init_sql; /* owned; the user's SQL that runs on each new connection; NULL = none */
  int flags;      /* of sqlite3_open_v2 */
  bool reads;     /* query_only: the connection reads beside another one that writes */
  bool immutable; /* the user says that nobody writes the file: it is read without locks */
} gl_sqlite_place;

typedef struct gl_sqlite {
  sqlite3 *db;          /* NULL: not opened yet, or closed */
  gl_sqlite_place place;
  gl_sqlite_seen seen;  /* what the statement that is being prepared does to the session */
  bool alone;           /* no other statement of its script could see that */
  bool changed;         /* the session was changed: the next user needs the connection opened anew */
  bool reading;         /* while `tx` is set: the transaction only reads */
  bool tx;              /* gl_sqlite_begin began a transaction that is neither committed nor rolled back */
  gl_sqlite_list cache; /* statements not in use, the most recently used first */
  int cached;           /* statements in `cache` */
  gl_sqlite_list out;   /* statements in use */
  atomic_bool pinned;   /* set by the loop: one user has the connection for a while, who alone sees what it does to the session */
  atomic_bool stop;     /* set by the loop: the running statement is to end with SQLITE_INTERRUPT */
  atomic_bool doomed;   /* set by the loop: a statement was given up, and the transaction can only be rolled back */
} gl_sqlite;

/* Every function that takes a `fault` returns an SQLite code or one of the codes above, SQLITE_OK when it succeeded, and describes
 * a failure in `fault`. All may read and write the disk; none raises. */

/* Opens e->place (db/sqlite/open.c). A database that cannot be written is opened for reading, and its journal mode is left alone.
 * After a failure e->db is NULL. */
int gl_sqlite_open(gl_sqlite *e, gl_sqlite_fault *fault);

/* Finalizes all statements, rolls back and closes. Does nothing with a closed connection. */
void gl_sqlite_close(gl_sqlite *e);

/* Makes the connection clean: finalizes the statements in `out`, rolls back, and opens the connection anew if its session was
 * changed. */
int gl_sqlite_reset(gl_sqlite *e, gl_sqlite_fault *fault);

/* BEGIN IMMEDIATE, or BEGIN for a transaction that only `reads`, in which statements that write are SQLITE_READONLY; COMMIT and ROLLBACK. To
 * roll back succeeds, too, when there is no transaction. */
int gl_sqlite_begin(gl_sqlite *e, bool reads, gl_sqlite_fault *fault);
int gl_sqlite_commit(gl_sqlite *e, gl_sqlite_fault *fault);
int gl_sqlite_rollback(gl_sqlite *e, gl_sqlite_fault *fault);

/* ROLLBACK TO and RELEASE of the savepoint `name`, which is the innermost. A doomed transaction is open again afterwards: the
 * savepoint began before the statement that was given up, so that all which that statement did is undone. */
int gl_sqlite_rollback_to(gl_sqlite *e, const char *name, gl_sqlite_fault *fault);

/* Is the connection fit for its next user? The loop's thread asks only while no job runs. */
bool gl_sqlite_clean(const gl_sqlite *e);

/* Takes the statement of `call` from the cache, or prepares it, and binds its parameters. On success *stmt is in `out` until
 * gl_sqlite_put; its parameters point into `call`, which must live as long. GL_SQLITE_WRITES: e->place.reads, and the statement
 * writes. */
int gl_sqlite_take(gl_sqlite *e, const gl_sqlite_call *call, gl_sqlite_stmt **stmt, gl_sqlite_fault *fault);

/* Gives a statement back: resets it, unbinds its parameters, frees `bound` and puts it into the cache; frees a finalized one. */
void gl_sqlite_put(gl_sqlite *e, gl_sqlite_stmt *stmt);

/* Adds rows to `rows` until it has `max_rows` rows or `max_bytes` bytes (SQLITE_ROW: there may be more), or the statement has ended
 * (SQLITE_DONE). After another code the rows that were added before are still there. */
int gl_sqlite_step(gl_sqlite *e, gl_sqlite_stmt *stmt, gl_sqlite_rows *rows, int max_rows, size_t max_bytes, gl_sqlite_fault *fault);

/* Runs the statements of `sql` (with a NUL), which have no parameters, from *at on, and drops their rows. The caller sets *at to
 * `sql` first; *at moves behind each statement that is done, so that a call after SQLITE_BUSY goes on where the last one stopped.
 * Adds the number of changed rows to *affected. */
int gl_sqlite_script(gl_sqlite *e, const char *sql, const char **at, int64_t *affected, gl_sqlite_fault *fault);

/* Runs SQL without parameters and drops its rows; the session is not checked beyond the authorizer. */
int gl_sqlite_run(gl_sqlite *e, const char *sql, gl_sqlite_fault *fault);

/* Describes the last failure of `db`, or without a `db` the code `rc`, in `fault`, and returns its extended code. */
int gl_sqlite_fault_of_db(sqlite3 *db, int rc, gl_sqlite_fault *fault);

/* Returns whether the running statement is to end: a callback of sqlite3_progress_handler, whose argument is the engine. */
int gl_sqlite_is_stopped(void *engine);

/* Returns how many rows the last statement changed; 0 if sqlite3_total_changes64 is still `total`, as it was before. */
int64_t gl_sqlite_affected(const gl_sqlite *e, int64_t total);

#endif
