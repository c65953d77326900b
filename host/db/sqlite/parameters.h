/* SPDX-License-Identifier: MIT
 *
 * The parameters $1, $2, ... of a statement, in time proportional to their number. SQLite looks each name up in the list of all
 * before it, numbers as well, and again for each that is asked for; 20,000 take seconds. Where there are many, it gets a plain
 * `?` for each, which it counts as they appear.
 */
#ifndef GL_DB_SQLITE_PARAMETERS_H
#define GL_DB_SQLITE_PARAMETERS_H

#include "core/buf.h"
#include "db/sqlite/engine.h"

/* slots[i] is the parameter of SQLite's i + 1. */
typedef struct gl_sqlite_parameters {
  gl_buf text; /* what SQLite gets, with a NUL; empty: the statement as it is */
  int n;       /* $1 to $n */
  int nslots;
  int *slots;
} gl_sqlite_parameters;

/* Are there only blanks, comments and semicolons? */
bool gl_sqlite_is_blank(const char *sql);

/* Do others than those follow the first semicolon? */
bool gl_sqlite_has_more(const char *sql);

/* Before it is prepared. An SQLite code; `fault` is described. gl_sqlite_parameters_free in any case. */
int gl_sqlite_parameters_scan(gl_sqlite_parameters *p, const char *sql, int len, gl_sqlite_fault *fault);

/* Once it is: when the scan left it as it is, ask for the names. */
int gl_sqlite_parameters_ask(gl_sqlite_parameters *p, sqlite3_stmt *stmt, gl_sqlite_fault *fault);

void gl_sqlite_parameters_free(gl_sqlite_parameters *p);

#endif
