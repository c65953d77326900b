/* SPDX-License-Identifier: MIT
 *
 * Opening a connection, hardened: SQL and database files may come from anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "db/sqlite/engine.h"
#include "db/sqlite/session.h"

#define PROGRESS_OPS 1000 /* virtual machine steps between two looks at `stop` */

/* Limits of one statement; SQLite's defaults allow gigabytes, or minutes in one step. */
static const struct { int id, most; } limits[] = {
  {SQLITE_LIMIT_LENGTH, 256 << 20},         /* bytes of a value or a row */
  {SQLITE_LIMIT_SQL_LENGTH, 256 << 20},     /* bytes of a statement, which may have such a value in it */
  {SQLITE_LIMIT_VDBE_OP, 10 * 1000 * 1000}, /* instructions */
  {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 8192}, /* bytes of a pattern: LIKE matches in one step, which cannot be stopped */
};

/* Closes the ways by which SQL or a schema reaches beyond the database. Beside that, a text in double quotes is always a name: a
 * misspelt column must not become a constant. */
static void harden(sqlite3 *db) {
  sqlite3_extended_result_codes(db, 1);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) sqlite3_limit(db, limits[i].id, limits[i].most);
}

/* init_sql runs before gl_sqlite_session_observe, because it is meant for the session. A busy_timeout that it sets is undone: no
 * thread of the pool may sleep for a lock. */
static int configure(gl_sqlite *e, gl_sqlite_fault *fault) {
  harden(e->db);
  sqlite3_progress_handler(e->db, PROGRESS_OPS, gl_sqlite_is_stopped, e);
  int rc = gl_sqlite_run(e, "PRAGMA foreign_keys = ON", fault);
  if (rc == SQLITE_OK && !sqlite3_db_readonly(e->db, "main")) rc = gl_sqlite_run(e, "PRAGMA journal_mode = WAL", fault);
  if ((rc & 0xff) == SQLITE_READONLY) rc = SQLITE_OK;
  if (rc == SQLITE_OK && e->place.init_sql) rc = gl_sqlite_run(e, e->place.init_sql, fault);
  if (rc == SQLITE_OK && e->place.reads) rc = gl_sqlite_run(e, "PRAGMA query_only = ON", fault);
  sqlite3_busy_timeout(e->db, 0);
  gl_sqlite_session_observe(e);
  e->changed = false;
  return rc;
}

/* Is the file read without locks? A file on a read-only file system cannot change, and has to be: SQLite cannot create the lock and
 * index files beside it by which a database in WAL mode is read. */
static bool is_immutable(const gl_sqlite_place *p) {
  struct statvfs fs;
  return p->immutable || (!(p->flags & SQLITE_OPEN_URI) && *p->path != ':' && statvfs(p->path, &fs) == 0 && (fs.f_flag & ST_RDONLY));
}

/* Returns "file:/mnt/a%3fb.db?immutable=1", which the caller frees. NULL: out of memory. */
static char *immutable_url(const char *path) {
  static const char rest[] = "?immutable=1";
  char *url = malloc(3 * strlen(path) + sizeof "file:" + sizeof rest), *to = url;
  if (!url) return NULL;
  to = stpcpy(to, "file:");
  for (; *path; path++) {
    if (strchr("%?#", *path)) to += sprintf(to, "%%%02x", (unsigned char)*path);
    else *to++ = *path;
  }
  strcpy(to, rest);
  return url;
}

static int open_place(gl_sqlite *e) {
  const gl_sqlite_place *p = &e->place;
  if (!is_immutable(p)) return sqlite3_open_v2(p->path, &e->db, p->flags, NULL);
  char *url = immutable_url(p->path);
  int rc = url ? sqlite3_open_v2(url, &e->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL) : SQLITE_NOMEM;
  free(url);
  return rc;
}

int gl_sqlite_open(gl_sqlite *e, gl_sqlite_fault *fault) {
  int rc = open_place(e);
  if (rc != SQLITE_OK) gl_sqlite_fault_of_db(e->db, rc, fault);
  else rc = configure(e, fault);
  if (rc == SQLITE_OK) return rc;
  sqlite3_close(e->db);
  e->db = NULL;
  return fault->code;
}
