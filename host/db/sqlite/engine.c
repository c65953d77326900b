/* SPDX-License-Identifier: MIT */
#include "db/sqlite/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "db/sql.h"
#include "db/sqlite/parameters.h"
#include "db/sqlite/session.h"

#define CACHED 64         /* prepared statements kept for a connection */

/* ---- faults ---- */

int gl_sqlite_fault_of_db(sqlite3 *db, int rc, gl_sqlite_fault *fault) {
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

const char *gl_sqlite_fault_text(const gl_sqlite_fault *fault) {
  if ((fault->code & 0xff) == SQLITE_NOMEM) return "not enough memory"; /* the words of every refusal of memory in the house */
  return fault->message ? fault->message : sqlite3_errstr(fault->code);
}

static int fault_closed(gl_sqlite_fault *fault) { return fault_of(GL_SQLITE_CLOSED, fault, "the connection is closed"); }

/* ---- memory ---- */

void gl_sqlite_call_free(gl_sqlite_call *call) {
  if (call) gl_memory_resize(call, call->size, 0);
}

static size_t stmt_size(int len) { return sizeof(gl_sqlite_stmt) + (size_t)len + 1; }

static void stmt_free(gl_sqlite_stmt *s) {
  sqlite3_finalize(s->stmt);
  gl_sqlite_call_free(s->bound);
  free(s->slots);
  gl_memory_resize(s, stmt_size(s->len), 0);
}

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

/* ---- clean, close ---- */

int gl_sqlite_is_stopped(void *arg) { return atomic_load_explicit(&((gl_sqlite *)arg)->stop, memory_order_relaxed); }

int gl_sqlite_run(gl_sqlite *e, const char *sql, gl_sqlite_fault *fault) {
  int rc = sqlite3_exec(e->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? SQLITE_OK : gl_sqlite_fault_of_db(e->db, rc, fault);
}

/* A statement stays its taker's: the next gl_sqlite_step of it fails, and gl_sqlite_put frees it. */
static void finalize_out(gl_sqlite *e) {
  while (e->out.head) {
    gl_sqlite_stmt *s = e->out.head;
    unlink_stmt(&e->out, s);
    sqlite3_finalize(s->stmt);
    s->stmt = NULL;
  }
}

/* Is the database in memory (or temporary), so that closing its only connection would lose it? */
static bool is_private(const gl_sqlite *e) { return !*e->place.path || strcmp(e->place.path, ":memory:") == 0; }

int gl_sqlite_reset(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (e->db) finalize_out(e);
  if (!e->changed || is_private(e)) return gl_sqlite_rollback(e, fault);
  gl_sqlite_close(e);
  return gl_sqlite_open(e, fault);
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
  e->tx = false;
}

bool gl_sqlite_clean(const gl_sqlite *e) {
  return e->db && !e->tx && !e->out.head && (!e->changed || is_private(e)) && sqlite3_get_autocommit(e->db);
}

/* ---- transactions ---- */

/* Some errors roll the whole transaction back (a full disk, an interrupted INSERT, ON CONFLICT ROLLBACK): later statements of the
 * transaction must not run, and be kept, outside of it. A doomed transaction must not be kept either: the statement that was given
 * up may have done nothing, a part or all of its work by the time its caller was told that it failed. */
static int check_transaction(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  if (!e->tx) return SQLITE_OK;
  if (atomic_load(&e->doomed)) return fault_of(SQLITE_ABORT, fault, "the transaction can only be rolled back: a statement in it was stopped");
  if (!sqlite3_get_autocommit(e->db)) return SQLITE_OK;
  return fault_of(SQLITE_ABORT, fault, "the transaction has ended already: an error rolled it back, or a statement of its own");
}

int gl_sqlite_begin(gl_sqlite *e, bool reads, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  atomic_store(&e->doomed, false);
  int rc = gl_sqlite_run(e, reads ? "BEGIN" : "BEGIN IMMEDIATE", fault);
  e->tx = rc == SQLITE_OK;
  e->reading = reads;
  return rc;
}

int gl_sqlite_commit(gl_sqlite *e, gl_sqlite_fault *fault) {
  int rc = check_transaction(e, fault);
  if (rc == SQLITE_OK) rc = gl_sqlite_run(e, "COMMIT", fault);
  if (rc == SQLITE_OK) e->tx = false;
  return rc;
}

int gl_sqlite_rollback(gl_sqlite *e, gl_sqlite_fault *fault) {
  if (!e->db) return fault_closed(fault);
  e->tx = false;
  return sqlite3_get_autocommit(e->db) ? SQLITE_OK : gl_sqlite_run(e, "ROLLBACK", fault);
}

int gl_sqlite_rollback_to(gl_sqlite *e, const char *name, gl_sqlite_fault *fault) {
  char sql[2 * GL_SQLITE_NAME + 32];
  bool doomed = atomic_exchange(&e->doomed, false);
  int rc = check_transaction(e, fault);
  if (rc == SQLITE_OK) {
    snprintf(sql, sizeof sql, "ROLLBACK TO %s; RELEASE %s", name, name);
    rc = gl_sqlite_run(e, sql, fault);
  }
  if (rc != SQLITE_OK && doomed) atomic_store(&e->doomed, true);
  return rc;
}

/* ---- statements ---- */

static gl_sqlite_stmt *find_cached(gl_sqlite *e, const gl_sqlite_call *call, uint32_t hash) {
  for (gl_sqlite_stmt *s = e->cache.head; s; s = s->next) {
    if (s->hash != hash || s->len != call->len || memcmp(s->sql, call->sql, (size_t)s->len) != 0) continue;
    unlink_stmt(&e->cache, s);
    e->cached--;
    return s;
  }
  return NULL;
}

static int fault_of_prepare(gl_sqlite *e, int rc, gl_sqlite_fault *fault) {
  return gl_sqlite_session_refused(e, gl_sqlite_fault_of_db(e->db, rc, fault), fault);
}

static int prepare(gl_sqlite *e, gl_sqlite_stmt *s, gl_sqlite_parameters *p, gl_sqlite_fault *fault) {
  const char *tail, *sql = p->text.data ? gl_buf_at(&p->text) : s->sql;
  int len = p->text.data ? (int)p->text.len : s->len + 1;
  gl_sqlite_session_begin(e, !atomic_load(&e->pinned));
  int rc = sqlite3_prepare_v3(e->db, sql, len, SQLITE_PREPARE_PERSISTENT, &s->stmt, &tail);
  if (rc != SQLITE_OK) return fault_of_prepare(e, rc, fault);
  s->seen = e->seen;
  if (!s->stmt) return fault_of(SQLITE_MISUSE, fault, "there is no statement in it");
  if (!gl_sqlite_is_blank(tail)) return fault_of(SQLITE_MISUSE, fault, "one statement at a time (exec without parameters runs several)");
  rc = gl_sqlite_parameters_ask(p, s->stmt, fault);
  if (rc != SQLITE_OK) return rc;
  s->nparams = p->n;
  s->nslots = p->nslots;
  s->slots = p->slots;
  p->slots = NULL;
  return SQLITE_OK;
}

static gl_sqlite_stmt *stmt_new(gl_sqlite *e, const gl_sqlite_call *call, uint32_t hash, gl_sqlite_fault *fault) {
  gl_sqlite_stmt *s = gl_memory_resize(NULL, 0, stmt_size(call->len));
  if (!s) {
    fault_of(SQLITE_NOMEM, fault, "not enough memory");
    return NULL;
  }
  *s = (gl_sqlite_stmt){.len = call->len, .hash = hash};
  memcpy(s->sql, call->sql, (size_t)call->len + 1);
  gl_sqlite_parameters p;
  int rc = gl_sqlite_parameters_scan(&p, s->sql, s->len, fault);
  if (rc == SQLITE_OK) rc = prepare(e, s, &p, fault);
  gl_sqlite_parameters_free(&p);
  if (rc == SQLITE_OK) return s;
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

static int bind_parameters(gl_sqlite *e, gl_sqlite_stmt *s, const gl_sqlite_call *call, gl_sqlite_fault *fault) {
  if (call->n != s->nparams)
    return fault_of(SQLITE_RANGE, fault, "the statement has %d parameter%s, %d given", s->nparams, s->nparams == 1 ? "" : "s", call->n);
  for (int i = 0; i < s->nslots; i++) {
    int rc = bind_value(s->stmt, i + 1, &call->values[s->slots[i] - 1]);
    if (rc != SQLITE_OK) return gl_sqlite_fault_of_db(e->db, rc, fault);
  }
  return SQLITE_OK;
}

/* May the statement run, as far as it is one that writes? */
static int check_writes(const gl_sqlite *e, sqlite3_stmt *stmt, gl_sqlite_fault *fault) {
  bool reading = e->tx && e->reading;
  if ((!reading && !e->place.reads) || sqlite3_stmt_readonly(stmt)) return SQLITE_OK;
  if (reading) return fault_of(SQLITE_READONLY, fault, "the transaction only reads (read_only)");
  return fault->code = GL_SQLITE_WRITES;
}

int gl_sqlite_take(gl_sqlite *e, const gl_sqlite_call *call, gl_sqlite_stmt **stmt, gl_sqlite_fault *fault) {
  int rc = check_transaction(e, fault);
  if (rc != SQLITE_OK) return rc;
  uint32_t hash = gl_sql_hash(call->sql, (size_t)call->len);
  gl_sqlite_stmt *s = find_cached(e, call, hash);
  if (!s && !(s = stmt_new(e, call, hash, fault))) return fault->code;
  push_front(&e->out, s);
  rc = gl_sqlite_session_check(e, &s->seen, !atomic_load(&e->pinned), fault);
  if (rc == SQLITE_OK) rc = check_writes(e, s->stmt, fault);
  if (rc == SQLITE_OK) rc = bind_parameters(e, s, call, fault);
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
  gl_sqlite_call_free(s->bound);
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

/* Call after the first step: only a step prepares the statement again when the schema has changed since. */
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
    if (gl_sqlite_is_stopped(e)) return fault_of(SQLITE_INTERRUPT, fault, "interrupted");
    rc = sqlite3_step(s->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return gl_sqlite_fault_of_db(e->db, rc, fault);
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
  else while ((rc = gl_sqlite_is_stopped(e) ? SQLITE_INTERRUPT : sqlite3_step(stmt)) == SQLITE_ROW);
  if (rc == SQLITE_DONE) *affected += gl_sqlite_affected(e, total);
  else if (rc != SQLITE_RANGE) gl_sqlite_fault_of_db(e->db, rc, fault);
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : fault->code;
}

static int script_statement(gl_sqlite *e, sqlite3_stmt *stmt, int64_t *affected, gl_sqlite_fault *fault) {
  int rc = gl_sqlite_session_check(e, &e->seen, e->alone, fault);
  if (rc == SQLITE_OK) rc = check_writes(e, stmt, fault);
  if (rc == SQLITE_OK) return script_step(e, stmt, affected, fault);
  sqlite3_finalize(stmt);
  return rc;
}

int gl_sqlite_script(gl_sqlite *e, const char *sql, const char **at, int64_t *affected, gl_sqlite_fault *fault) {
  while (**at) {
    sqlite3_stmt *stmt;
    const char *tail;
    int rc = check_transaction(e, fault);
    if (rc != SQLITE_OK) return rc;
    bool pinned = atomic_load(&e->pinned);
    gl_sqlite_session_begin(e, !pinned && *at == sql && !gl_sqlite_has_more(sql));
    rc = sqlite3_prepare_v2(e->db, *at, -1, &stmt, &tail);
    if (!pinned && *at == sql && rc == SQLITE_OK) e->alone = gl_sqlite_is_blank(tail); /* gl_sqlite_has_more does not know a trigger's semicolons */
    if (rc != SQLITE_OK) rc = fault_of_prepare(e, rc, fault);
    else if (stmt) rc = script_statement(e, stmt, affected, fault);
    if (rc != SQLITE_OK) return fault->code;
    *at = tail;
  }
  return SQLITE_OK;
}
