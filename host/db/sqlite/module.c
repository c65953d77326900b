/* SPDX-License-Identifier: MIT
 *
 * The functions and methods of green.db.sqlite: open, query, exec, transactions, reset, close; each call is one job on the pool.
 */
#include "db/sqlite/module.h"

#include <stdlib.h>
#include <string.h>

#include "core/args.h"
#include "core/class.h"
#include "core/error.h"
#include "core/library.h"
#include "db/blob.h"
#include "db/sql.h"
#include "db/sqlite/cursor.h"
#include "db/sqlite/job.h"
#include "db/sqlite/memory.h"
#include "db/sqlite/rows.h"

#define CONNECTION "green.db.sqlite.connection"
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz_0123456789"
#define TIMEOUT 30.0                     /* seconds a job may take, unless the caller says otherwise */
#define MAX_RESULT ((size_t)64 << 20)    /* bytes of rows one query may gather */

static gl_sqlite_conn *check_conn(lua_State *L) {
  gl_sqlite_conn **at = gl_class_self(L, CONNECTION);
  luaL_argcheck(L, *at, 1, "the connection was collected"); /* another finalizer may use the handle after conn_gc */
  return *at;
}

/* ---- open ---- */

static int run_open(gl_sqlite_job *job) { return gl_sqlite_open(&job->conn->engine, &job->fault); }

static int push_open(lua_State *L, gl_op *op) {
  gl_sqlite_job *job = (gl_sqlite_job *)op;
  gl_sqlite_fault *f = &job->fault;
  const char *path = job->conn ? job->conn->engine.place.path : NULL;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, path);
  if (f->code)
    return gl_error_raise(L, op->type->name, gl_sqlite_code_name(f->code), "%s: %s", path, gl_sqlite_fault_text(f));
  gl_sqlite_conn **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = job->conn;
  (*at)->refs++;
  luaL_setmetatable(L, CONNECTION);
  return 1;
}

static void free_open(gl_op *op) { gl_sqlite_job_free((gl_sqlite_job *)op); }

static const gl_optype open_type = {"db.connect", push_open, gl_sqlite_job_cancel, free_open};

/* Reads the path at 1 and the options at 2. `path` and `init_sql` of the result are strings on the Lua stack, not copies. */
static gl_sqlite_place check_place(lua_State *L) {
  static const char *const modes[] = {"rwc", "rw", "ro", NULL};
  static const char *const names[] = {"immutable", "init_sql", "mode", "reads", "uri", NULL};
  static const int flags[] = {SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, SQLITE_OPEN_READWRITE, SQLITE_OPEN_READONLY};
  gl_sqlite_place place = {0};
  size_t len;
  place.path = (char *)(uintptr_t)luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len > 0 && strlen(place.path) == len, 1, "a file name or :memory: expected");
  lua_settop(L, 3);
  gl_args_check_names(L, 2, names);
  place.init_sql = (char *)(uintptr_t)gl_args_string(L, 2, "init_sql");
  place.flags = flags[gl_args_word(L, 2, "mode", modes)] | SQLITE_OPEN_NOMUTEX | (gl_args_bool(L, 2, "uri", false) ? SQLITE_OPEN_URI : 0);
  place.reads = gl_args_bool(L, 2, "reads", false);
  place.immutable = gl_args_bool(L, 2, "immutable", false);
  return place;
}

/* Makes a connection to `place`, with its own copies of the texts. NULL: out of memory. */
static gl_sqlite_conn *conn_new(gl_host *h, const gl_sqlite_place *place) {
  gl_sqlite_conn *c = gl_sqlite_conn_new(h);
  if (!c) return NULL;
  gl_sqlite_place *own = &c->engine.place;
  *own = *place;
  own->path = strdup(place->path);
  own->init_sql = place->init_sql ? strdup(place->init_sql) : NULL;
  if (own->path && (own->init_sql || !place->init_sql)) return c;
  gl_sqlite_conn_unref(c);
  return NULL;
}

static int sqlite_open(lua_State *L) { /* path [, options [, timeout]] */
  gl_sqlite_place place = check_place(L);
  double timeout = gl_check_timeout(L, 3, TIMEOUT);
  gl_sqlite_job *job = gl_op_new(L, &open_type, sizeof *job, 0);
  job->run = run_open;
  gl_sqlite_conn *c = conn_new(job->work.op.host, &place);
  if (!c) return gl_sqlite_job_no_memory(L, job);
  c->refs--; /* gl_sqlite_job_await takes the job's reference, the only one until push_open */
  return gl_sqlite_job_await(L, job, c, timeout);
}

/* ---- query, exec ---- */

typedef struct query_op {
  gl_sqlite_job job;
  gl_sqlite_call *call;
  gl_sqlite_rows rows;
  const char *at;    /* a script's next statement, in the text of `call`; NULL: a single statement */
  size_t max_bytes;  /* more is SQLITE_TOOBIG */
  int max_rows;      /* of a statement that only reads: the rest is not read */
  int64_t affected;  /* rows that were changed */
  int64_t last_id;   /* sqlite3_last_insert_rowid */
} query_op;

static int too_big(query_op *q) {
  q->job.fault.code = SQLITE_TOOBIG;
  q->job.fault.message = sqlite3_mprintf("the result is larger than %lld bytes; read it with rows(), or limit it",
                                         (long long)q->max_bytes);
  return SQLITE_TOOBIG;
}

static int run_query(gl_sqlite_job *job) {
  query_op *q = (query_op *)job;
  gl_sqlite *e = &job->conn->engine;
  gl_sqlite_stmt *stmt;
  gl_sqlite_rows_free(&q->rows); /* an earlier try, which found the database locked, may have left some */
  q->rows = (gl_sqlite_rows){0};
  int rc = gl_sqlite_take(e, q->call, &stmt, &job->fault);
  if (rc != SQLITE_OK) return rc;
  int64_t total = sqlite3_total_changes64(e->db);
  bool writes = !sqlite3_stmt_readonly(stmt->stmt);
  rc = gl_sqlite_step(e, stmt, &q->rows, writes ? INT32_MAX : q->max_rows, q->max_bytes, &job->fault);
  gl_sqlite_put(e, stmt);
  if (rc == SQLITE_ROW && q->rows.cells.len + q->rows.bytes.len >= q->max_bytes) return too_big(q);
  if (rc == SQLITE_ROW) rc = SQLITE_DONE;
  q->affected = gl_sqlite_affected(e, total);
  q->last_id = sqlite3_last_insert_rowid(e->db);
  return rc;
}

static int run_script(gl_sqlite_job *job) {
  query_op *q = (query_op *)job;
  gl_sqlite *e = &job->conn->engine;
  int rc = gl_sqlite_script(e, q->call->sql, &q->at, &q->affected, &job->fault);
  if (rc == SQLITE_OK) q->last_id = sqlite3_last_insert_rowid(e->db);
  return rc;
}

static void push_changes(lua_State *L, const query_op *q) {
  lua_pushinteger(L, q->affected);
  if (q->affected) lua_pushinteger(L, q->last_id);
  else lua_pushnil(L);
}

/* Raises the error of a query that failed. Pushes false for a statement that writes and only reached a connection that reads: the
 * caller gives the statement to the writing one. */
static int push_failure(lua_State *L, query_op *q) {
  gl_op *op = &q->job.work.op;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  if (q->job.fault.code != GL_SQLITE_WRITES) return gl_sqlite_job_raise(L, &q->job, q->at ? q->at : q->call->sql);
  lua_pushboolean(L, 0);
  return 1;
}

static int push_query(lua_State *L, gl_op *op) {
  query_op *q = (query_op *)op;
  if (op->status < 0 || q->job.fault.code) return push_failure(L, q);
  gl_sqlite_push_rows(L, &q->rows);
  int64_t last_id = q->last_id;
  gl_sql_set_result(L, gl_buf_at(&q->rows.names), q->rows.ncols, q->affected, q->affected ? &last_id : NULL);
  return 1;
}

static int push_exec(lua_State *L, gl_op *op) {
  query_op *q = (query_op *)op;
  if (op->status < 0 || q->job.fault.code) return push_failure(L, q);
  push_changes(L, q);
  return 2;
}

static void free_query(gl_op *op) {
  query_op *q = (query_op *)op;
  gl_sqlite_rows_free(&q->rows);
  gl_sqlite_call_free(q->call);
  gl_sqlite_job_free(&q->job);
}

static void object_query(const gl_op *op, char *out, size_t size) {
  const query_op *q = (const query_op *)op;
  if (q->call) gl_sql_object(q->call->sql, out, size);
}

static const gl_optype query_type = {"db.query", push_query, gl_sqlite_job_cancel, free_query, object_query};
static const gl_optype exec_type = {"db.exec", push_exec, gl_sqlite_job_cancel, free_query, object_query};

static int query_await(lua_State *L, const gl_optype *type, size_t max_bytes, int max_rows, int sql, double timeout) {
  gl_sqlite_conn *c = check_conn(L);
  size_t size = gl_sqlite_call_check(L, sql, sql + 1);
  query_op *q = gl_op_new(L, type, sizeof *q, 0);
  q->call = gl_sqlite_call_new(L, sql, sql + 1, size);
  q->max_bytes = max_bytes;
  q->max_rows = max_rows;
  q->job.run = run_query;
  q->job.interruptible = true;
  if (!q->call) return gl_sqlite_job_no_memory(L, &q->job);
  if (type == &exec_type && q->call->n == 0) {
    q->at = q->call->sql;
    q->job.run = run_script;
  }
  return gl_sqlite_job_await(L, &q->job, c, timeout);
}

static int query_rows(lua_State *L, int max_rows) { /* conn timeout max_bytes sql parameters... */
  lua_Integer max = luaL_optinteger(L, 3, (lua_Integer)MAX_RESULT);
  luaL_argcheck(L, max > 0, 3, "a number of bytes > 0 expected");
  return query_await(L, &query_type, (size_t)max, max_rows, 4, gl_check_timeout(L, 2, TIMEOUT));
}

static int conn_query(lua_State *L) { return query_rows(L, INT32_MAX); }
static int conn_first(lua_State *L) { return query_rows(L, 1); }

static int conn_exec(lua_State *L) { /* conn timeout sql parameters... */
  return query_await(L, &exec_type, MAX_RESULT, INT32_MAX, 3, gl_check_timeout(L, 2, TIMEOUT));
}

/* ---- begin, commit, rollback, reset, close: jobs without data ---- */

static int run_begin(gl_sqlite_job *job) { return gl_sqlite_begin(&job->conn->engine, false, &job->fault); }
static int run_begin_reading(gl_sqlite_job *job) { return gl_sqlite_begin(&job->conn->engine, true, &job->fault); }
static int run_commit(gl_sqlite_job *job) { return gl_sqlite_commit(&job->conn->engine, &job->fault); }
static int run_rollback(gl_sqlite_job *job) { return gl_sqlite_rollback(&job->conn->engine, &job->fault); }
static int run_reset(gl_sqlite_job *job) { return gl_sqlite_reset(&job->conn->engine, &job->fault); }

static int run_close(gl_sqlite_job *job) {
  gl_sqlite_close(&job->conn->engine);
  return SQLITE_OK;
}

static void ended_close(gl_sqlite_job *job) {
  if (!job->conn->engine.db) gl_sqlite_conn_closed(job->conn);
}

static int push_plain(lua_State *L, gl_op *op) {
  gl_sqlite_job *job = (gl_sqlite_job *)op;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  if (job->fault.code) return gl_sqlite_job_raise(L, job, NULL);
  return 0;
}

static void free_plain(gl_op *op) { gl_sqlite_job_free((gl_sqlite_job *)op); }

static const gl_optype begin_type = {"db.begin", push_plain, gl_sqlite_job_cancel, free_plain};
static const gl_optype commit_type = {"db.commit", push_plain, gl_sqlite_job_cancel, free_plain};
static const gl_optype rollback_type = {"db.rollback", push_plain, gl_sqlite_job_cancel, free_plain};
static const gl_optype reset_type = {"db.reset", push_plain, gl_sqlite_job_cancel, free_plain};
static const gl_optype close_type = {"db.close", push_plain, gl_sqlite_job_cancel, free_plain};

static int plain_await(lua_State *L, const gl_optype *type, int (*run)(gl_sqlite_job *), void (*ended)(gl_sqlite_job *)) {
  gl_sqlite_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  gl_sqlite_job *job = gl_op_new(L, type, sizeof *job, 0);
  job->run = run;
  job->ended = ended;
  return gl_sqlite_job_await(L, job, c, timeout);
}

/* conn timeout reads */
static int conn_begin(lua_State *L) { return plain_await(L, &begin_type, lua_toboolean(L, 3) ? run_begin_reading : run_begin, NULL); }
static int conn_commit(lua_State *L) { return plain_await(L, &commit_type, run_commit, NULL); }
static int conn_rollback(lua_State *L) { return plain_await(L, &rollback_type, run_rollback, NULL); }
static int conn_reset(lua_State *L) { return plain_await(L, &reset_type, run_reset, NULL); }
static int conn_close(lua_State *L) {
  if (gl_sqlite_conn_is_foreign(check_conn(L))) return 0;
  return plain_await(L, &close_type, run_close, ended_close);
}

/* ---- back to a savepoint ---- */

typedef struct back_op {
  gl_sqlite_job job;
  char name[GL_SQLITE_NAME];
} back_op;

static int run_back(gl_sqlite_job *job) { return gl_sqlite_rollback_to(&job->conn->engine, ((back_op *)job)->name, &job->fault); }

static const gl_optype back_type = {"db.rollback", push_plain, gl_sqlite_job_cancel, free_plain};

static int conn_rollback_to(lua_State *L) { /* conn name timeout */
  gl_sqlite_conn *c = check_conn(L);
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len > 0 && len < GL_SQLITE_NAME && strspn(name, NAME_LETTERS) == len, 2, "the name of a savepoint expected");
  double timeout = gl_check_timeout(L, 3, TIMEOUT);
  back_op *b = gl_op_new(L, &back_type, sizeof *b, 0);
  memcpy(b->name, name, len + 1);
  b->job.run = run_back;
  return gl_sqlite_job_await(L, &b->job, c, timeout);
}

/* ---- the handle ---- */

static int conn_clean(lua_State *L) {
  lua_pushboolean(L, gl_sqlite_conn_clean(check_conn(L)));
  return 1;
}

static int conn_busy(lua_State *L) {
  lua_pushboolean(L, gl_sqlite_conn_busy(check_conn(L)));
  return 1;
}

static int conn_in_transaction(lua_State *L) {
  lua_pushboolean(L, gl_sqlite_conn_in_transaction(check_conn(L)));
  return 1;
}

/* conn:pin(on) */
static int conn_pin(lua_State *L) {
  gl_sqlite_conn *c = check_conn(L);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  atomic_store(&c->engine.pinned, lua_toboolean(L, 2));
  return 0;
}

static int conn_cursor(lua_State *L) { return gl_sqlite_cursor_push(L, check_conn(L)); }

static int conn_gc(lua_State *L) {
  gl_sqlite_conn **at = gl_class_self(L, CONNECTION);
  if (*at) gl_sqlite_conn_unref(*at);
  *at = NULL;
  return 0;
}

int luaopen_green_db_sqlite(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"query", conn_query},       {"exec", conn_exec},   {"cursor", conn_cursor}, {"begin", conn_begin}, {"commit", conn_commit},
    {"rollback", conn_rollback}, {"reset", conn_reset}, {"clean", conn_clean},   {"close", conn_close}, {"rollback_to", conn_rollback_to},
    {"first", conn_first},       {"in_transaction", conn_in_transaction}, {"pin", conn_pin}, {"busy", conn_busy},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", conn_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", sqlite_open}, {"blob", gl_blob_new}, {NULL, NULL}};
  const char *error = gl_library_need("libsqlite3.so.0");
  if (error) gl_error_raise(L, "db.sqlite", "ENOLIBRARY", "SQLite needs libsqlite3: %s", error);
  gl_sqlite_memory_init();
  gl_class_new(L, CONNECTION, methods, meta);
  gl_blob_class(L);
  gl_sqlite_cursor_class(L);
  luaL_newlib(L, functions);
  return 1;
}
