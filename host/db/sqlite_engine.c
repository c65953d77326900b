/* SPDX-License-Identifier: MIT */
#include "db/sqlite_engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHED 64         /* prepared statements kept for a connection */
#define PROGRESS_OPS 1000 /* virtual machine steps between two looks at `stop` */

/* ---- faults ---- */

static int fault_of_db(sqlite3 *db, int rc, gl_sqlite_fault *fault) {
  fault->code = db && sqlite3_extended_errcode(db) ? sqlite3_extended_errcode(db) : rc;
  sqlite3_free(fault->message);
  fault->message = db ? sqlite3_mprintf("%s", sqlite3_errmsg(db)) : NULL;
  return fault->code;
}

static int fault_of(int code, gl_sqlite_fault *fault, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fault->code = code;
  sqlite3_free(fault->message);
  fault->message = sqlite3_vmprintf(fmt, args);
  va_end(args);
  return code;
}

static int fault_closed(gl_sqlite_fault *fault) { return fault_of(GL_SQLITE_CLOSED, fault, "the connection is closed"); }

/* ---- lists ---- */

static void unlink_stmt(gl_sqlite_list *list, gl_sqlite_stmt *s) {
  if (s->prev) s->prev->next = s->next;
  else list->head = s->next;
  if (s->next) s->next->prev = s->prev;
  else list->tail = s->prev;
  s->prev = s->next = NULL;
}

static void push_front(gl_sqlite_list *list, gl_sqlite_stmt *s) {
  s->prev = NULL;
  s->next = list->head;
  if (s->next) s->next->prev = s;
  else list->tail = s;
  list->head = s;
}

/* ---- open, clean, close ---- */

static int on_progress(void *arg) { return atomic_load_explicit(&((gl_sqlite *)arg)->stop, memory_order_relaxed); }

static int run_sql(gl_sqlite *e, const char *sql, gl_sqlite_fault *fault) {
  int rc = sqlite3_exec(e->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? SQLITE_OK : fault_of_db(e->db, rc, fault);
}

/* A text in double quotes is a name, never a string: a misspelt column must not become a constant. */
static int configure(gl_sqlite *e, gl_sqlite_fault *fault) {
  sqlite3_extended_result_codes(e->db, 1);
  sqlite3_db_config(e->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
  sqlite3_db_config(e->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
  sqlite3_progress_handler(e->db, PROGRESS_OPS, on_progress, e);
  int rc = run_sql(e, "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL", fault);
  if (rc && (rc & 0xff) != SQLITE_READONLY) return rc;
  return e->reads ? run_sql(e, "PRAGMA query_only = ON", fault) : SQLITE_OK;
}

int gl_sqlite_open(gl_sqlite *e, const char *path, bool reads, gl_sqlite_fault *fault) {
  e->reads = reads;
  int rc = sqlite3_open_v2(path, &e->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc != SQLITE_OK) fault_of_db(e->db, rc, fault);
  else rc = configure(e, fault);
  if (rc == SQLITE_OK) return rc;
  sqlite3_close(e->db);
  e->db = NULL;
  return fault->code;
}

static void stmt_free(gl_sqlite_stmt *s) {
  sqlite3_finalize(s->stmt);
  free(s->bound);
  free(s->slots);
  free(s);
}

/* Those who took them learn of it when they come back. */
static void finalize_out(gl_sqlite *e) {
  while (e->out.head) {
    gl_sqlite_stmt *s = e->out.head;
    unlink_stmt(&e->out, s);
    sqlite3_finalize(s->stmt);
    s->stmt = NULL;
  }
}

int gl_sqlite_reset(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (e->db) finalize_out(e);
  return gl_sqlite_rollback(e, fault);
}

void gl_sqlite_close(gl_sqlite *e) {
  if (!e->db) return;
  finalize_out(e);
  while (e->cache.head) {
    gl_sqlite_stmt *s = e->cache.head;
    unlink_stmt(&e->cache, s);
    stmt_free(s);
  }
  e->cached = 0;
  sqlite3_close(e->db); /* rolls back */
  e->db = NULL;
}

bool gl_sqlite_clean(const gl_sqlite *e) { return e->db && !e->tx && !e->out.head && sqlite3_get_autocommit(e->db); }

/* ---- transactions ---- */

/* Some errors roll the whole transaction back (a full disk, an interrupted INSERT, ON CONFLICT ROLLBACK). What
 * comes after must not run, and commit, outside of it. Nor must anything be kept of a transaction one of whose
 * statements was stopped: it may have done nothing, a part, or all by the time its caller was told it failed. */
static int check_transaction(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  if (!e->tx) return SQLITE_OK;
  if (atomic_load(&e->doomed)) return fault_of(SQLITE_ABORT, fault, "the transaction can only be rolled back: a statement in it was stopped");
  if (!sqlite3_get_autocommit(e->db)) return SQLITE_OK;
  return fault_of(SQLITE_ABORT, fault, "the transaction has ended already: an error rolled it back, or a statement of its own");
}

int gl_sqlite_begin(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  atomic_store(&e->doomed, false);
  int rc = run_sql(e, "BEGIN IMMEDIATE", fault);
  e->tx = rc == SQLITE_OK;
  return rc;
}

int gl_sqlite_commit(gl_sqlite *e, gl_sqlite_fault *fault) {
  int rc = check_transaction(e, fault);
  if (rc == SQLITE_OK) rc = run_sql(e, "COMMIT", fault);
  if (rc == SQLITE_OK) e->tx = false;
  return rc;
}

int gl_sqlite_rollback(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  e->tx = false;
  return sqlite3_get_autocommit(e->db) ? SQLITE_OK : run_sql(e, "ROLLBACK", fault);
}

int gl_sqlite_rollback_to(gl_sqlite *e, const char *name, gl_sqlite_fault *fault) {
  char sql[2 * GL_SQLITE_NAME + 32];
  bool doomed = atomic_exchange(&e->doomed, false);
  int rc = check_transaction(e, fault);
  if (rc == SQLITE_OK) {
    snprintf(sql, sizeof sql, "ROLLBACK TO %s; RELEASE %s", name, name);
    rc = run_sql(e, sql, fault);
  }
  if (rc != SQLITE_OK && doomed) atomic_store(&e->doomed, true);
  return rc;
}

/* ---- statements ---- */

static uint32_t hash_of(const char *sql, int len) { /* FNV-1a */
  uint32_t h = 2166136261u;
  for (int i = 0; i < len; i++) h = (h ^ (unsigned char)sql[i]) * 16777619u;
  return h;
}

static gl_sqlite_stmt *find_cached(gl_sqlite *e, const gl_sqlite_call *call, uint32_t hash) {
  for (gl_sqlite_stmt *s = e->cache.head; s; s = s->next) {
    if (s->hash != hash || s->len != call->len || memcmp(s->sql, call->sql, (size_t)s->len) != 0) continue;
    unlink_stmt(&e->cache, s);
    e->cached--;
    return s;
  }
  return NULL;
}

/* "$12" is 12, everything else 0. */
static int parameter_number(const char *name) {
  if (!name || name[0] != '$' || name[1] < '1' || name[1] > '9') return 0;
  int n = 0;
  for (name++; *name >= '0' && *name <= '9' && n < 100000; name++) n = n * 10 + (*name - '0');
  return *name ? 0 : n;
}

static int map_parameters(gl_sqlite_stmt *s, gl_sqlite_fault *fault) {
  s->nslots = sqlite3_bind_parameter_count(s->stmt);
  if (!s->nslots) return SQLITE_OK;
  s->slots = malloc((size_t)s->nslots * sizeof *s->slots);
  if (!s->slots) return fault_of(SQLITE_NOMEM, fault, "not enough memory");
  for (int i = 0; i < s->nslots; i++) {
    const char *name = sqlite3_bind_parameter_name(s->stmt, i + 1);
    int n = s->slots[i] = parameter_number(name);
    if (!n) return fault_of(SQLITE_MISUSE, fault, "parameters are written $1, $2, ...: not %s", name ? name : "?");
    if (n > s->nparams) s->nparams = n;
  }
  return SQLITE_OK;
}

/* Is there a statement in what follows, or only blanks and comments? */
static bool is_blank(sqlite3 *db, const char *sql) {
  while (*sql) {
    sqlite3_stmt *next;
    const char *tail;
    if (sqlite3_prepare_v2(db, sql, -1, &next, &tail) != SQLITE_OK) return false;
    sqlite3_finalize(next);
    if (next || tail == sql) return next == NULL;
    sql = tail;
  }
  return true;
}

static int prepare(gl_sqlite *e, gl_sqlite_stmt *s, gl_sqlite_fault *fault) {
  const char *tail;
  int rc = sqlite3_prepare_v3(e->db, s->sql, s->len + 1, SQLITE_PREPARE_PERSISTENT, &s->stmt, &tail);
  if (rc != SQLITE_OK) return fault_of_db(e->db, rc, fault);
  if (!s->stmt) return fault_of(SQLITE_MISUSE, fault, "there is no statement in it");
  if (!is_blank(e->db, tail)) return fault_of(SQLITE_MISUSE, fault, "one statement at a time (exec without parameters runs several)");
  return map_parameters(s, fault);
}

static gl_sqlite_stmt *stmt_new(gl_sqlite *e, const gl_sqlite_call *call, uint32_t hash, gl_sqlite_fault *fault) {
  gl_sqlite_stmt *s = calloc(1, sizeof *s + (size_t)call->len + 1);
  if (!s) {
    fault_of(SQLITE_NOMEM, fault, "not enough memory");
    return NULL;
  }
  memcpy(s->sql, call->sql, (size_t)call->len + 1);
  s->len = call->len;
  s->hash = hash;
  if (prepare(e, s, fault) == SQLITE_OK) return s;
  stmt_free(s);
  return NULL;
}

static int bind_value(sqlite3_stmt *stmt, int slot, const gl_sqlite_value *v) {
  switch (v->type) {
    case SQLITE_INTEGER: return sqlite3_bind_int64(stmt, slot, v->as.integer);
    case SQLITE_FLOAT: return sqlite3_bind_double(stmt, slot, v->as.real);
    case SQLITE_TEXT: return sqlite3_bind_text64(stmt, slot, v->as.ptr, v->len, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_BLOB: return sqlite3_bind_blob64(stmt, slot, v->as.ptr, v->len, SQLITE_STATIC);
    default: return sqlite3_bind_null(stmt, slot);
  }
}

static int bind(gl_sqlite *e, gl_sqlite_stmt *s, const gl_sqlite_call *call, gl_sqlite_fault *fault) {
  if (call->n != s->nparams)
    return fault_of(SQLITE_RANGE, fault, "the statement has %d parameter%s, %d given", s->nparams, s->nparams == 1 ? "" : "s", call->n);
  for (int i = 0; i < s->nslots; i++) {
    int rc = bind_value(s->stmt, i + 1, &call->values[s->slots[i] - 1]);
    if (rc != SQLITE_OK) return fault_of_db(e->db, rc, fault);
  }
  return SQLITE_OK;
}

int gl_sqlite_take(gl_sqlite *e, const gl_sqlite_call *call, gl_sqlite_stmt **stmt, gl_sqlite_fault *fault) {
  int rc = check_transaction(e, fault);
  if (rc != SQLITE_OK) return rc;
  uint32_t hash = hash_of(call->sql, call->len);
  gl_sqlite_stmt *s = find_cached(e, call, hash);
  if (!s && !(s = stmt_new(e, call, hash, fault))) return fault->code;
  push_front(&e->out, s);
  if (e->reads && !sqlite3_stmt_readonly(s->stmt)) rc = fault->code = GL_SQLITE_WRITES;
  else rc = bind(e, s, call, fault);
  if (rc == SQLITE_OK) *stmt = s;
  else gl_sqlite_put(e, s);
  return rc;
}

void gl_sqlite_put(gl_sqlite *e, gl_sqlite_stmt *s) {
  if (!s->stmt) {
    stmt_free(s);
    return;
  }
  unlink_stmt(&e->out, s);
  sqlite3_reset(s->stmt);
  sqlite3_clear_bindings(s->stmt);
  free(s->bound);
  s->bound = NULL;
  push_front(&e->cache, s);
  if (++e->cached <= CACHED) return;
  s = e->cache.tail;
  unlink_stmt(&e->cache, s);
  e->cached--;
  stmt_free(s);
}

/* ---- rows ---- */

void gl_sqlite_rows_free(gl_sqlite_rows *rows) {
  gl_buf_free(&rows->names);
  gl_buf_free(&rows->cells);
  gl_buf_free(&rows->bytes);
}

/* After the first step: only that sees a schema that changed since the statement was prepared. */
static bool add_names(gl_sqlite_rows *rows, sqlite3_stmt *stmt) {
  int n = sqlite3_column_count(stmt);
  for (int i = 0; i < n; i++) {
    const char *name = sqlite3_column_name(stmt, i);
    if (!name || !gl_buf_add(&rows->names, name, strlen(name) + 1)) return false;
  }
  rows->ncols = n;
  return true;
}

static bool read_cell(gl_sqlite_rows *rows, sqlite3_stmt *stmt, int i, gl_sqlite_value *v) {
  v->type = (uint32_t)sqlite3_column_type(stmt, i);
  if (v->type == SQLITE_INTEGER) v->as.integer = sqlite3_column_int64(stmt, i);
  if (v->type == SQLITE_FLOAT) v->as.real = sqlite3_column_double(stmt, i);
  if (v->type != SQLITE_TEXT && v->type != SQLITE_BLOB) return true;
  const void *data = v->type == SQLITE_TEXT ? sqlite3_column_text(stmt, i) : sqlite3_column_blob(stmt, i);
  v->len = (uint32_t)sqlite3_column_bytes(stmt, i);
  v->as.off = rows->bytes.len;
  if (!v->len) return true;
  return data && gl_buf_add(&rows->bytes, data, v->len);
}

static bool add_row(gl_sqlite_rows *rows, sqlite3_stmt *stmt) {
  size_t size = (size_t)rows->ncols * sizeof(gl_sqlite_value);
  gl_sqlite_value *cells = (void *)gl_buf_room(&rows->cells, size);
  if (!cells) return false;
  for (int i = 0; i < rows->ncols; i++)
    if (!read_cell(rows, stmt, i, &cells[i])) return false;
  gl_buf_grew(&rows->cells, size);
  rows->count++;
  return true;
}

int gl_sqlite_step(gl_sqlite *e, gl_sqlite_stmt *s, gl_sqlite_rows *rows, int max_rows, size_t max_bytes, gl_sqlite_fault *fault) {
  int rc = check_transaction(e, fault);
  if (rc != SQLITE_OK) return rc;
  if (!s->stmt) return fault_closed(fault);
  for (;;) {
    if (on_progress(e)) return fault_of(SQLITE_INTERRUPT, fault, "interrupted");
    rc = sqlite3_step(s->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return fault_of_db(e->db, rc, fault);
    if (!rows->ncols && !add_names(rows, s->stmt)) return fault_of(SQLITE_NOMEM, fault, "not enough memory");
    if (rc == SQLITE_DONE) return rc;
    if (!add_row(rows, s->stmt)) return fault_of(SQLITE_NOMEM, fault, "not enough memory");
    if (rows->count >= max_rows || rows->cells.len + rows->bytes.len >= max_bytes) return SQLITE_ROW;
  }
}

int64_t gl_sqlite_affected(const gl_sqlite *e, int64_t total) {
  return sqlite3_total_changes64(e->db) == total ? 0 : sqlite3_changes64(e->db);
}

/* ---- scripts ---- */

static int script_step(gl_sqlite *e, sqlite3_stmt *stmt, int64_t *affected, gl_sqlite_fault *fault) {
  int rc;
  int64_t total = sqlite3_total_changes64(e->db);
  if (sqlite3_bind_parameter_count(stmt)) rc = fault_of(SQLITE_RANGE, fault, "the statement has parameters, none given");
  else while ((rc = on_progress(e) ? SQLITE_INTERRUPT : sqlite3_step(stmt)) == SQLITE_ROW);
  if (rc == SQLITE_DONE) *affected += gl_sqlite_affected(e, total);
  else if (rc != SQLITE_RANGE) fault_of_db(e->db, rc, fault);
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : fault->code;
}

int gl_sqlite_script(gl_sqlite *e, const char **at, int64_t *affected, gl_sqlite_fault *fault) {
  while (**at) {
    sqlite3_stmt *stmt;
    const char *tail;
    int rc = check_transaction(e, fault);
    if (rc == SQLITE_OK && (rc = sqlite3_prepare_v2(e->db, *at, -1, &stmt, &tail)) != SQLITE_OK) fault_of_db(e->db, rc, fault);
    if (rc == SQLITE_OK && stmt) rc = script_step(e, stmt, affected, fault);
    if (rc != SQLITE_OK) return fault->code;
    *at = tail;
  }
  return SQLITE_OK;
}
