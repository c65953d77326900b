/* SPDX-License-Identifier: MIT
 *
 * The parameters $1, $2, ... of a statement, found in time proportional to their number. SQLite compares the name of each parameter,
 * also a numbered one, with all names before it, and does so again when it is asked for a name: 20,000 take seconds. A statement with
 * many parameters is therefore rewritten: SQLite gets a plain `?` for each, and counts those in the order in which they appear.
 */
#ifndef GL_DB_SQLITE_PARAMETERS_H
#define GL_DB_SQLITE_PARAMETERS_H

#include "core/buf.h"
#include "db/sqlite/engine.h"

typedef struct gl_sqlite_parameters {
  gl_buf text; /* the rewritten statement, with a NUL; empty: SQLite gets the statement as it was written */
  int n;       /* the highest number: the statement has $1 to $n */
  int nslots;  /* parameters as SQLite counts them */
  int *slots;  /* slots[i] is the number of the parameter that SQLite counts as i + 1; owned */
} gl_sqlite_parameters;

/* Does `sql` (with a NUL) consist of blanks, comments and semicolons only? */
bool gl_sqlite_is_blank(const char *sql);

/* Does anything but blanks, comments and semicolons follow the first semicolon of `sql` (with a NUL)? */
bool gl_sqlite_has_more(const char *sql);

/* Initializes `p` and, if there are many parameters, rewrites the `len` bytes of `sql` (with a NUL behind them); call before the
 * statement is prepared. Returns SQLITE_OK, SQLITE_NOMEM or SQLITE_MISUSE, described in `fault`; call gl_sqlite_parameters_free in
 * every case. */
int gl_sqlite_parameters_scan(gl_sqlite_parameters *p, const char *sql, int len, gl_sqlite_fault *fault);

/* Completes `p` once `stmt` is prepared: a statement that was not rewritten is asked for the names of its parameters. Returns
 * SQLITE_OK, SQLITE_NOMEM or SQLITE_MISUSE, described in `fault`. */
int gl_sqlite_parameters_ask(gl_sqlite_parameters *p, sqlite3_stmt *stmt, gl_sqlite_fault *fault);

/* Frees what `p` holds. A caller that keeps `slots` sets p->slots to NULL before. */
void gl_sqlite_parameters_free(gl_sqlite_parameters *p);

#endif
