/* SPDX-License-Identifier: MIT
 *
 * Names of SQLite's result codes, for the `code` of error objects. SQLite itself has only sentences for its codes.
 */
#include "db/sqlite/engine.h"

#define ROW(code) {code, #code}

static const struct {
  int code;
  const char *name;
} names[] = {
  {GL_SQLITE_CLOSED, "ECLOSED"},
  ROW(SQLITE_ABORT), ROW(SQLITE_ABORT_ROLLBACK), ROW(SQLITE_AUTH), ROW(SQLITE_BUSY), ROW(SQLITE_BUSY_RECOVERY),
  ROW(SQLITE_BUSY_SNAPSHOT), ROW(SQLITE_CANTOPEN), ROW(SQLITE_CANTOPEN_ISDIR), ROW(SQLITE_CONSTRAINT),
  ROW(SQLITE_CONSTRAINT_CHECK), ROW(SQLITE_CONSTRAINT_COMMITHOOK), ROW(SQLITE_CONSTRAINT_DATATYPE),
  ROW(SQLITE_CONSTRAINT_FOREIGNKEY), ROW(SQLITE_CONSTRAINT_FUNCTION), ROW(SQLITE_CONSTRAINT_NOTNULL),
  ROW(SQLITE_CONSTRAINT_PINNED), ROW(SQLITE_CONSTRAINT_PRIMARYKEY), ROW(SQLITE_CONSTRAINT_ROWID),
  ROW(SQLITE_CONSTRAINT_TRIGGER), ROW(SQLITE_CONSTRAINT_UNIQUE), ROW(SQLITE_CONSTRAINT_VTAB), ROW(SQLITE_CORRUPT),
  ROW(SQLITE_EMPTY), ROW(SQLITE_ERROR), ROW(SQLITE_FORMAT), ROW(SQLITE_FULL), ROW(SQLITE_INTERNAL), ROW(SQLITE_INTERRUPT),
  ROW(SQLITE_IOERR), ROW(SQLITE_LOCKED), ROW(SQLITE_LOCKED_SHAREDCACHE), ROW(SQLITE_MISMATCH), ROW(SQLITE_MISUSE),
  ROW(SQLITE_NOLFS), ROW(SQLITE_NOMEM), ROW(SQLITE_NOTADB), ROW(SQLITE_NOTFOUND), ROW(SQLITE_PERM), ROW(SQLITE_PROTOCOL),
  ROW(SQLITE_RANGE), ROW(SQLITE_READONLY), ROW(SQLITE_READONLY_DBMOVED), ROW(SQLITE_READONLY_DIRECTORY),
  ROW(SQLITE_SCHEMA), ROW(SQLITE_TOOBIG),
};

static const char *find(int code) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == code) return names[i].name;
  return NULL;
}

const char *gl_sqlite_code_name(int code) {
  const char *name = find(code);
  if (!name) name = find(code & 0xff); /* an extended code without a row: the primary code's name says enough */
  return name ? name : "SQLITE_ERROR";
}
