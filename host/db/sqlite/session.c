/* SPDX-License-Identifier: MIT */
#include "db/sqlite/session.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_one_of(const char *name, const char *const *names) {
  for (; *names; names++)
    if (strcasecmp(name, *names) == 0) return true;
  return false;
}

/* The argument of these pragmas names an object, or is stored in the database. All other pragmas store it in the session. */
static const char *const data_pragmas[] = {
  "application_id", "auto_vacuum", "encoding", "foreign_key_check", "foreign_key_list", "incremental_vacuum", "index_info",
  "index_list", "index_xinfo", "integrity_check", "optimize", "page_size", "quick_check", "schema_version", "table_info",
  "table_list", "table_xinfo", "user_version", "wal_checkpoint", NULL,
};

/* These pragmas set something of the whole process, or undo a protection of db/sqlite/open.c. */
static const char *const refused_pragmas[] = {
  "data_store_directory", "hard_heap_limit", "soft_heap_limit", "temp_store_directory", "trusted_schema", NULL,
};

/* Both functions give SQL a way to call any address, or to learn one. */
static const char *const refused_functions[] = {"fts3_tokenizer", "load_extension", NULL};

static const char *const asking_functions[] = {"changes", "last_insert_rowid", "total_changes", NULL};

/* Notes `what`; its name is kept if it is graver than all that was noted before. */
static void see(gl_sqlite *e, unsigned what, const char *kind, const char *name, const char *end) {
  gl_sqlite_seen *seen = &e->seen;
  if (!seen->what || what > seen->what) snprintf(seen->name, sizeof seen->name, "%s%s%s", kind, name ? name : "", end);
  seen->what |= what;
}

/* Decides at once, not in gl_sqlite_session_check: many pragmas take effect while they are prepared. */
static int see_pragma(gl_sqlite *e, const char *name, const char *argument) {
  if (!argument || is_one_of(name, data_pragmas)) return SQLITE_OK;
  if (strcasecmp(name, "journal_mode") == 0 && strcasecmp(argument, "wal") == 0) return SQLITE_OK;
  see(e, strcasecmp(name, "foreign_keys") == 0 ? GL_SQLITE_FOREIGN_KEYS : GL_SQLITE_CHANGES, "PRAGMA ", name, "");
  if (is_one_of(name, refused_pragmas)) e->seen.what |= GL_SQLITE_REFUSED;
  bool allowed = !(e->seen.what & GL_SQLITE_REFUSED) && (!e->alone || !sqlite3_get_autocommit(e->db));
  if (allowed) e->changed = true;
  return allowed ? SQLITE_OK : SQLITE_DENY;
}

static int see_function(gl_sqlite *e, const char *name, const char *trigger) {
  if (is_one_of(name, refused_functions)) {
    see(e, GL_SQLITE_REFUSED, name, "()", "");
    return SQLITE_DENY;
  }
  if (!trigger && is_one_of(name, asking_functions)) see(e, GL_SQLITE_ASKS, name, "()", "");
  return SQLITE_OK;
}

static int on_action(void *arg, int action, const char *first, const char *second, const char *db, const char *trigger) {
  gl_sqlite *e = arg;
  (void)db;
  switch (action) {
    case SQLITE_PRAGMA: return see_pragma(e, first, second);
    case SQLITE_FUNCTION: return see_function(e, second, trigger);
    case SQLITE_ATTACH: see(e, GL_SQLITE_CHANGES, "ATTACH", NULL, ""); break;
    case SQLITE_DETACH: see(e, GL_SQLITE_CHANGES, "DETACH ", first, ""); break;
    case SQLITE_CREATE_TEMP_TABLE: see(e, GL_SQLITE_CHANGES, "the temporary table ", first, ""); break;
    case SQLITE_CREATE_TEMP_VIEW: see(e, GL_SQLITE_CHANGES, "the temporary view ", first, ""); break;
    case SQLITE_CREATE_TEMP_TRIGGER: see(e, GL_SQLITE_CHANGES, "the temporary trigger ", first, ""); break;
    default: break;
  }
  return SQLITE_OK;
}

void gl_sqlite_session_observe(gl_sqlite *e) { sqlite3_set_authorizer(e->db, on_action, e); }

void gl_sqlite_session_begin(gl_sqlite *e, bool alone) {
  e->seen = (gl_sqlite_seen){0};
  e->alone = alone;
}

static int refuse(gl_sqlite_fault *fault, char *message) {
  fault->code = SQLITE_MISUSE;
  sqlite3_free(fault->message);
  fault->message = message;
  return fault->code;
}

int gl_sqlite_session_refused(gl_sqlite *e, int rc, gl_sqlite_fault *fault) {
  if (e->seen.what & GL_SQLITE_REFUSED)
    return refuse(fault, sqlite3_mprintf("%s is not allowed: it reaches beyond the database", e->seen.name));
  int why = gl_sqlite_session_check(e, &e->seen, e->alone, fault);
  return why == SQLITE_OK ? rc : why;
}

int gl_sqlite_session_check(gl_sqlite *e, const gl_sqlite_seen *seen, bool alone, gl_sqlite_fault *fault) {
  if (!seen->what) return SQLITE_OK;
  bool in_transaction = !sqlite3_get_autocommit(e->db);
  if ((seen->what & GL_SQLITE_FOREIGN_KEYS) && in_transaction)
    return refuse(fault, sqlite3_mprintf("PRAGMA foreign_keys does nothing in a transaction: PRAGMA defer_foreign_keys does, and init_sql of "
                                         "connect is for all of its connections"));
  if (!in_transaction && alone && seen->what == GL_SQLITE_ASKS)
    return refuse(fault, sqlite3_mprintf("%s is about what the same connection did last, which outside of a transaction may be anybody's: use "
                                         "what exec and query return (affected, last_id), db:transaction or db:pin", seen->name));
  if (!in_transaction && alone)
    return refuse(fault, sqlite3_mprintf("%s would hold for one connection of a pool only, whoever gets it next: put it into init_sql of "
                                         "connect, for all of them, or into a db:transaction or db:pin, until that ends", seen->name));
  if (seen->what != GL_SQLITE_ASKS) e->changed = true;
  return SQLITE_OK;
}
